package balancer

import (
	"os"
	"testing"

	"github.com/grpc-subpool/subpool/internal/witness"
)

// TestMain holds every step of every story in this package against the promise
// of the one budget.
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
