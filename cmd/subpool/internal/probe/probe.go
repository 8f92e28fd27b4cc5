// Package probe is the command probe.
package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpc-subpool/subpool/cmd/subpool/internal/cli"
)

// Run is the command.
func Run(ctx context.Context, args []string, std cli.IO) error {
	o, err := parse(args, std)
	if err != nil {
		return err
	}
	report, err := measure(ctx, o, std)
	if report == nil {
		return err
	}
	fmt.Fprint(std.Out, Table(*report), "\n", Advice(*report), "\n")
	if o.html != "" {
		page, err := Page(*report)
		if err == nil {
			err = os.WriteFile(o.html, page, 0o644) //nolint:gosec // a page is to be read
		}
		if err != nil {
			return fmt.Errorf("-html: %w", err)
		}
	}
	return err
}

// measure returns no report if there is nothing to tell.
func measure(ctx context.Context, o options, std cli.IO) (*Report, error) {
	channels, err := open(o)
	if err != nil {
		return nil, err
	}
	defer closeAll(channels)
	ctx = metadata.NewOutgoingContext(ctx, o.headers)
	setUp, cancel := context.WithTimeout(ctx, o.connectTimeout)
	defer cancel()
	if err := channels[0].connect(setUp); err != nil {
		return nil, fmt.Errorf("%s: %w", o.target, err)
	}
	c, err := prepare(setUp, channels[0].cc, o)
	if err != nil {
		return nil, err
	}
	l := &load{call: c, inFlight: o.inFlight, maxTime: o.maxTime}
	l.left.Store(int64(o.most))
	r := &Report{Target: o.target, Method: c.path[1:], InFlight: o.inFlight, Threads: runtime.GOMAXPROCS(0), RequestBytes: len(c.request)}
	if err := tryOut(ctx, l, channels[0], r); err != nil {
		return nil, err
	}
	for _, one := range channels[1:] {
		if err := one.connect(setUp); err != nil {
			return nil, fmt.Errorf("%s, %d connections: %w", o.target, one.size, err)
		}
	}
	cancel()
	fmt.Fprintf(std.Err, "%s: %s, %v for one at a time; now %d in flight\n", o.target, r.Method, round(r.Idle), o.inFlight)
	s := &sweep{load: l, channels: channels, progress: std.Err}
	for _, one := range channels {
		s.series = append(s.series, series{size: one.size})
	}
	err = s.run(ctx, o.lasts)
	r.Interrupted = ctx.Err() != nil
	if !fill(r, s) && err == nil {
		err = errors.New("nothing was measured: raise -for or -n")
	}
	if len(r.Rows) == 0 {
		return nil, err
	}
	return r, err
}

// tryOut makes a few RPCs one after the other; the first tells whether it can be made at
// all, and is not counted, as it may find the server cold.
func tryOut(ctx context.Context, l *load, c *channel, r *Report) error {
	var latencies, trickle []time.Duration
	most := min(50, l.left.Load()/20) // it takes a tenth of the RPCs at most
	for begin := time.Now(); ; {
		one := l.once(ctx, c.cc, l.call)
		if status.Code(one.err) == codes.Unimplemented && l.call.path == healthCheck {
			return errors.New("the server has no grpc.health.v1.Health: name a METHOD")
		}
		if one.err != nil {
			return fmt.Errorf("%s: %w", r.Method, one.err)
		}
		latencies = append(latencies, one.latency)
		r.ReplyBytes = one.size
		if idle := l.once(ctx, c.cc, call{path: nothing}); answered(idle.err) {
			trickle = append(trickle, idle.latency)
		}
		if l.left.Add(-2) <= 0 || int64(len(latencies)) > most || time.Since(begin) > time.Second {
			break
		}
	}
	if len(latencies) > 1 {
		latencies = latencies[1:]
	}
	r.Idle, r.IdleTrickle = percentile(latencies, 25), percentile(trickle, 25) // what disturbs only makes slower
	return nil
}

// fill takes what was measured, and reports whether that is anything. The warm-up
// counts if there is nothing else.
func fill(r *Report, s *sweep) bool {
	if !slices.ContainsFunc(s.series, func(one series) bool { return len(one.warmUp) > 0 }) {
		return false
	}
	for i, one := range s.series {
		if len(one.slices) == 0 {
			one.slices = one.warmUp
		}
		row := rowOf(one)
		if p, ok := s.channels[i].pool(); ok {
			row.Connections, _ = connections(p)
			row.Addresses = len(p.Endpoints)
			row.Limit = limit(p)
		}
		for _, slice := range one.slices {
			if slice.Error != "" {
				r.Error = slice.Error
			}
		}
		r.Rows = append(r.Rows, row)
	}
	return true
}

// round leaves three digits.
func round(d time.Duration) time.Duration {
	for unit := time.Nanosecond; ; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
}
