package main

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/grpc-subpool/subpool/page"
)

// changing is a pool that forgets a peak of load after ten seconds.
const changing = `{"loadBalancingConfig":[{"subpool":{"maxSize":8,"idleTimeout":"10s","maxLifetime":"60s"}}]}`

// servePage shows the pools of this process on an address of its own. A program that
// serves HTTP anyway mounts the page there: mux.Handle("/debug/subpool/", page.Handler()).
func servePage(address string) (url string, stop func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: page.Handler(page.AllowRecycle()), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(listener) }() // ends when it is closed
	return fmt.Sprintf("http://%s/", listener.Addr()), func() { _ = s.Close() }, nil
}

// actFour lets the load come and go, once in each period, until ctx ends.
func actFour(ctx context.Context, period time.Duration) error {
	fmt.Printf("\nAct four: the load comes and goes, once in %v, on a pool of 1 to 8. See the page;\n", period)
	fmt.Printf("Ctrl-C ends it.\n")
	return withChannel(changing, func(_ *server, client healthpb.HealthClient) error {
		l := &load{client: client, timeout: rpcTimeout}
		began := time.Now()
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				for ctx.Err() == nil {
					if float64(i) >= tide(time.Since(began), period) {
						time.Sleep(workTime)
					} else if err := l.call(); err != nil { //nolint:contextcheck // what is under way when ctx ends may end by itself
						l.noteFailure(err)
					}
				}
			})
		}
		all.Wait()
		return l.err()
	})
}

// tide is how many callers there are: from none to all of them, and back.
func tide(since, period time.Duration) float64 {
	return callers * (1 - math.Cos(2*math.Pi*since.Seconds()/period.Seconds())) / 2
}
