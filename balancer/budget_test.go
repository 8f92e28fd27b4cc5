package balancer

import (
	"os"
	"testing"

	"github.com/grpc-subpool/subpool/internal/witness"
)

// TestMain holds every step of every pool in this package against the budget.
func TestMain(m *testing.M) {
	var budget witness.Budget
	witness.Settled = func(p witness.Pool) {
		for _, e := range p.Endpoints {
			if err := budget.Check(e); err != nil {
				panic(err)
			}
		}
	}
	os.Exit(m.Run())
}
