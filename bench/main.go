// Command bench measures subpool side by side with what a user would pick instead.
//
//	go run .                          everything, in the better part of an hour, into out/
//	go run . -quick -only a,c         two of the workloads, only to see that they work
//	go run . -only k -part start      one part of the large pools
//	go run . compare old.json new.json
//	go run . docs out/result.json ../docs/benchmarks.md
//
// Profiles are of this process, which is the client: choose one workload, and one
// contender, by the name that its column has.
//
//	go run . -only b -contender subpool -cpuprofile cpu.prof -memprofile mem.prof
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grpc-subpool/subpool/bench/child"
	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/workload"
)

func main() {
	child.Main(workload.Roles)
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command(args []string) error {
	if len(args) > 0 && args[0] == "compare" {
		return compare(args[1:])
	}
	if len(args) > 0 && args[0] == "docs" {
		return fillDocs(args[1:])
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	return o.measure()
}

func compare(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("compare: %d files, must be 2: the older and the newer", len(args))
	}
	older, err := result.Load(args[0])
	if err != nil {
		return err
	}
	newer, err := result.Load(args[1])
	if err != nil {
		return err
	}
	result.Compare(os.Stdout, older, newer)
	return nil
}

func fillDocs(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("docs: %d files, must be 2: the result and the page", len(args))
	}
	r, err := result.Load(args[0])
	if err != nil {
		return err
	}
	page := args[1]
	plots := "plots-" + filepath.Base(page[:len(page)-len(filepath.Ext(page))])
	return r.Fill(page, plots)
}

// Options are those of a run.
type options struct {
	workload.Run
	quick      bool
	only       string
	out        string
	cpuProfile string
	memProfile string
}

func parse(args []string) (*options, error) {
	o := new(options)
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.BoolVar(&o.quick, "quick", false, "run each workload for a moment, to see that it works")
	f.StringVar(&o.only, "only", "", "letters of the workloads, like a,c")
	f.StringVar(&o.Contender, "contender", "", "measure this one alone")
	f.StringVar(&o.Part, "part", "", "measure this part of k alone: start, change, rest, large, small, churn, sockets, memory")
	f.StringVar(&o.out, "out", "out", "directory for the result, its tables and plots")
	f.StringVar(&o.cpuProfile, "cpuprofile", "", "file for the processor profile of the client")
	f.StringVar(&o.memProfile, "memprofile", "", "file for the profile of the client's allocations")
	f.StringVar(&o.IdleProfile, "idleprofile", "", "file for the heap profile of the process with idle connections, in g")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if o.quick {
		o.Quick = 5
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("%q: no such command", f.Arg(0))
	}
	return o, nil
}
