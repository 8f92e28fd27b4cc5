package balancer

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/grpc-subpool/subpool/config"
)

// dropped is how many connections an endpoint retired because it shrank, since
// it last had none that drained.
type dropped struct{ size, count int }

// TestMain holds every step of every story in this package against the promise
// of the one budget, per endpoint: connections ≤ maxSize + budget + draining, and
// draining ≤ maxSize + those dropped by shrinking.
func TestMain(m *testing.M) {
	var mu sync.Mutex // each pool holds its own
	seen := make(map[*endpoint]*dropped)
	settled = func(p *pool) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range p.endpoints {
			d := seen[&e.endpoint]
			if d == nil {
				d = &dropped{}
				seen[&e.endpoint] = d
			}
			d.count += max(0, d.size-e.size())
			d.size = e.size()
			if len(e.slots) > e.cfg.MaxSize+config.Budget(e.size()) {
				panic(fmt.Sprintf("%d connections with maxSize %d, budget %d", len(e.slots), e.cfg.MaxSize, config.Budget(e.size())))
			}
			if len(e.leaving) > e.cfg.MaxSize+d.count {
				panic(fmt.Sprintf("%d drain with maxSize %d, %d dropped", len(e.leaving), e.cfg.MaxSize, d.count))
			}
			if len(e.leaving) == 0 {
				d.count = 0
			}
		}
	}
	os.Exit(m.Run())
}
