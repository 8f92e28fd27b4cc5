package server

import (
	"fmt"
	"syscall"
	"time"

	"github.com/grpc-subpool/subpool/bench/child"
)

// A Process is a server that runs.
type Process struct {
	Addr  string
	child *child.Child
}

// Usage is what a server has used and seen up to now.
type Usage struct {
	CPU      time.Duration // of its process
	Accepted int           // connections
}

// Start runs a server in a process of its own.
func Start(o Options) (*Process, error) {
	c, err := child.Start("server", o)
	if err != nil {
		return nil, err
	}
	p := &Process{child: c}
	if err := c.Ask("", &p.Addr); err != nil {
		return nil, fmt.Errorf("the server did not start: %w", err)
	}
	return p, nil
}

// Usage asks for it.
func (p *Process) Usage() (u Usage, err error) {
	err = p.child.Ask("usage", &u)
	return u, err
}

// Darken makes the oldest open connection go dark.
func (p *Process) Darken() error { return p.child.Ask("darken", new(Usage)) }

// Await waits until the server has accepted that many connections.
func (p *Process) Await(accepted int) error {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		u, err := p.Usage()
		if err != nil || u.Accepted >= accepted {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d connections, must be %d", u.Accepted, accepted)
		}
	}
}

// Stop ends it.
func (p *Process) Stop() error { return p.child.Stop() }

// CPU is the processor time that this process has used.
func CPU() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
