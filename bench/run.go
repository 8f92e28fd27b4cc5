package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/grpc-subpool/subpool/bench/path"
	"github.com/grpc-subpool/subpool/bench/result"
	"github.com/grpc-subpool/subpool/bench/workload"
)

// measure runs the workloads, prints the verdicts, and writes all of it to files.
func (o *options) measure() error {
	kinds, err := choose(o.only)
	if err != nil {
		return err
	}
	o.Progress = progress()
	stop, err := o.profile()
	if err != nil {
		return err
	}
	r := &result.Result{Machine: machine(), Quick: o.quick}
	began := time.Now()
	for _, k := range kinds {
		o.Progress(fmt.Sprintf("\n(%s) %s", k.Key, k.Title), true)
		w, err := o.Measure(k)
		if errors.Is(err, path.ErrUnavailable) {
			o.Progress("left out: "+err.Error(), true)
			continue
		}
		if err != nil {
			return errors.Join(err, stop())
		}
		r.Workloads = append(r.Workloads, w)
		o.Progress(fmt.Sprintf("%.0f s", w.Seconds), true)
	}
	r.Seconds = time.Since(began).Seconds()
	if err := errors.Join(stop(), o.write(r)); err != nil {
		return err
	}
	fmt.Println()
	r.PrintVerdicts(os.Stdout)
	fmt.Printf("\n%.0f s; %s\n", r.Seconds, filepath.Join(o.out, "result.json, result.md and plots"))
	return nil
}

func (o *options) write(r *result.Result) error {
	if err := r.SavePlots(o.out); err != nil { // makes the directory
		return err
	}
	if err := r.Save(filepath.Join(o.out, "result.json")); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.out, "result.md"), []byte(r.Markdown()), 0o644)
}

// choose returns the workloads with these letters, "" for all.
func choose(only string) ([]workload.Kind, error) {
	if only == "" {
		return workload.All, nil
	}
	var kinds []workload.Kind
	for key := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(workload.All, func(k workload.Kind) bool { return k.Key == key })
		if i < 0 {
			return nil, fmt.Errorf("only: %q, must be letters from %s to %s", key, workload.All[0].Key, workload.All[len(workload.All)-1].Key)
		}
		kinds = append(kinds, workload.All[i])
	}
	return kinds, nil
}

// progress tells of a slice on one line of the terminal, and keeps what is done.
func progress() func(string, bool) {
	stat, err := os.Stderr.Stat()
	terminal := err == nil && stat.Mode()&os.ModeCharDevice != 0
	return func(text string, done bool) {
		switch {
		case done && terminal:
			fmt.Fprintf(os.Stderr, "\r\x1b[K%s\n", text)
		case done:
			fmt.Fprintln(os.Stderr, text)
		case terminal:
			fmt.Fprintf(os.Stderr, "\r\x1b[K%s", text)
		}
	}
}

// profile begins the profiles that were asked for; stop writes them.
func (o *options) profile() (stop func() error, err error) {
	var cpu *os.File
	if o.cpuProfile != "" {
		if cpu, err = os.Create(o.cpuProfile); err != nil {
			return nil, err
		}
		if err := pprof.StartCPUProfile(cpu); err != nil {
			return nil, err
		}
	}
	return func() error {
		if cpu != nil {
			pprof.StopCPUProfile()
			if err := cpu.Close(); err != nil {
				return err
			}
		}
		if o.memProfile == "" {
			return nil
		}
		mem, err := os.Create(o.memProfile)
		if err != nil {
			return err
		}
		return errors.Join(pprof.Lookup("allocs").WriteTo(mem, 0), mem.Close())
	}, nil
}

func machine() result.Machine {
	m := result.Machine{CPUs: runtime.NumCPU(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return m
	}
	for _, d := range build.Deps {
		switch d.Path {
		case "google.golang.org/grpc":
			m.Versions = append(m.Versions, "grpc "+d.Version)
		case "github.com/GoogleCloudPlatform/grpc-gcp-go/grpcgcp":
			m.Versions = append(m.Versions, "grpcgcp "+d.Version)
		}
	}
	slices.Sort(m.Versions)
	return m
}
