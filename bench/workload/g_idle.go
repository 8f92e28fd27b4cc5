package workload

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/grpc-subpool/subpool/bench/child"
	"github.com/grpc-subpool/subpool/bench/contender"
	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/server"
)

// idleSides are those that can have many connections.
var idleSides = []contender.Contender{contender.Channels, contender.GCP, contender.Subpool}

// idleOptions are those of the child that has the connections.
type idleOptions struct {
	Contender   string
	Addr        string
	Connections int
	Profile     string // file for the heap's profile
}

func idleConnections(r *Run) int {
	if r.Quick > 0 {
		return 100
	}
	return 1000
}

func idleRow(r *Run) string { return strconv.Itoa(idleConnections(r)) }

func (r *Run) compareIdle(t *result.Table, srv *server.Process) error {
	var sides []side
	for _, c := range idleSides {
		sides = append(sides, side{idleRow(r), c.Name, func(int) (values, error) { return r.idle(c, srv) }})
	}
	if r.Contender == contender.Plain.Name || r.Contender == contender.Plain.Name+" again" {
		return nil
	}
	return r.alternate(t, 5, sides...)
}

// idle starts a child with the connections, and asks for its memory when they stand.
func (r *Run) idle(c contender.Contender, srv *server.Process) (v values, err error) {
	before, err := srv.Usage()
	if err != nil {
		return nil, err
	}
	o := idleOptions{Contender: c.Name, Addr: srv.Addr, Connections: idleConnections(r), Profile: r.IdleProfile}
	client, err := child.Start("idle", o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if stopped := client.Stop(); err == nil {
			err = stopped
		}
	}()
	var bytes float64
	if err := client.Ask("open", &bytes); err != nil {
		return nil, err
	}
	if err := srv.Await(before.Accepted + 1 + o.Connections); err != nil {
		return nil, err
	}
	time.Sleep(r.lasts(500 * time.Millisecond)) // until the last are READY and at rest
	err = client.Ask("measure", &bytes)
	return values{"memory": bytes / float64(o.Connections) / 1024}, err
}

// idleRole opens connections at the first command, and at each answers with the bytes
// that it has now more than before.
func idleRole(options []byte, in *bufio.Scanner, out *json.Encoder) error {
	var o idleOptions
	if err := json.Unmarshal(options, &o); err != nil {
		return err
	}
	var c contender.Contender
	for _, s := range idleSides {
		if s.Name == o.Contender {
			c = s
		}
	}
	if c.Open == nil {
		return fmt.Errorf("no such contender: %q", o.Contender)
	}
	first, err := c.Open(contender.Settings{Addr: o.Addr, Min: 1, Max: 1}) // with what is made once
	if err != nil {
		return err
	}
	if err := first.Close(); err != nil {
		return err
	}
	var all contender.Pool
	before := inUse()
	for in.Scan() {
		if all == nil {
			if all, err = c.Open(contender.Settings{Addr: o.Addr, Min: o.Connections, Max: o.Connections}); err != nil {
				return err
			}
		}
		if err := out.Encode(inUse() - before); err != nil {
			return err
		}
	}
	if all != nil && o.Profile != "" {
		if err := writeHeapProfile(o.Profile); err != nil {
			return err
		}
	}
	runtime.KeepAlive(all)
	return in.Err()
}

func writeHeapProfile(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return pprof.Lookup("heap").WriteTo(f, 0)
}

// inUse is heap and stacks after garbage collection.
func inUse() float64 {
	for range 3 { // pools are emptied by the second
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}
