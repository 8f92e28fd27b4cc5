// Quickstart shows what a pool does, in fifteen seconds and with nothing but Go:
//
//	go run ./examples/quickstart
//
// Act one compares a plain channel with a pool of eight connections. Act two
// renews all connections of a pool under load, and no RPC fails. In act three a
// connection goes dark under load, and is replaced. With
//
//	go run ./examples/quickstart -page 127.0.0.1:8080
//
// a browser shows the pools there meanwhile, and then one whose load comes and goes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	_ "github.com/grpc-subpool/subpool" // registers the policy "subpool"
)

// The service configs. Nothing else differs between the channels.
const (
	plain    = `{}`
	pool     = `{"loadBalancingConfig":[{"subpool":{"size":8}}]}`
	renewing = `{"loadBalancingConfig":[{"subpool":{"size":8,"maxLifetime":"1s"}}]}`
	watchful = `{"loadBalancingConfig":[{"subpool":{"size":8,"unresponsiveTimeout":"1s"}}]}`
)

const (
	poolSize             = 8 // as in the service configs
	callers              = 200
	streamsPerConnection = 20
	workTime             = 10 * time.Millisecond
	rpcTimeout           = 5 * time.Second
	shortTimeout         = 300 * time.Millisecond // of act three

	compareTime = 2500 * time.Millisecond
	renewTime   = 5 * time.Second
	darkTime    = 3 * time.Second
	patience    = 30 * time.Second // for what must come, on a machine that is very busy
)

func main() {
	page := flag.String("page", "", "`address` at which a browser shows the pools; none by default")
	flag.Parse()
	if err := runWithPage(*page); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// runWithPage also shows the acts in a browser, if there is an address for that.
func runWithPage(address string) error {
	if address == "" {
		return run()
	}
	url, stop, err := servePage(address)
	if err != nil {
		return err
	}
	fmt.Printf("The page: %s\n\n", url)
	defer stop()
	if err := run(); err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	return actFour(ctx, time.Minute)
}

func run() error {
	fmt.Printf("A gRPC server in this process lets %d RPCs run at a time on a connection.\n",
		streamsPerConnection)
	fmt.Printf("Each takes %d ms. %d callers each send the next one when the last has ended.\n",
		workTime.Milliseconds(), callers)
	if err := actOne(); err != nil {
		return fmt.Errorf("act one: %w", err)
	}
	if err := actTwo(); err != nil {
		return fmt.Errorf("act two: %w", err)
	}
	if err := actThree(); err != nil {
		return fmt.Errorf("act three: %w", err)
	}
	return nil
}

// actOne puts the same load on a plain channel and on a pool.
func actOne() error {
	fmt.Printf("\nAct one: a plain channel has one connection, so most callers wait for a\n")
	fmt.Printf("free stream. A pool has %d. The spread is what the least and the most used\n", poolSize)
	fmt.Printf("connection got of the RPCs, in %% of an even share.\n\n")
	fmt.Printf("%-10s%12s%9s%10s%10s%9s%15s\n",
		"channel", "connections", "RPC/s", "p50", "p99", "failed", "spread")

	one, err := compare("plain", plain)
	if err != nil {
		return err
	}
	many, err := compare(fmt.Sprint("pool of ", poolSize), pool)
	if err != nil {
		return err
	}
	fmt.Printf("\nThe pool carried %.1f times as many RPCs as the plain channel.\n", many.rate/one.rate)
	return nil
}

// compare prints one row of act one.
func compare(name, serviceConfig string) (r result, err error) {
	err = withChannel(serviceConfig, func(s *server, client healthpb.HealthClient) error {
		l := startLoad(client, rpcTimeout)
		time.Sleep(compareTime)
		r = l.stop()

		all := s.seen()
		fewest, most := all.spread()
		fmt.Printf("%-10s%12d%9.0f%7d ms%7d ms%9d%15s\n",
			name, len(all), r.rate, r.p50.Milliseconds(), r.p99.Milliseconds(), r.failed,
			fmt.Sprintf("%.0f–%.0f %%", fewest, most))
		return l.err()
	})
	return r, err
}

// actTwo renews every connection of a pool several times while it is in use.
func actTwo() error {
	fmt.Printf("\nAct two: the same load on a pool that replaces each connection within a\n")
	fmt.Printf("second (an hour by default). The new connection is made first; then the old\n")
	fmt.Printf("one finishes the RPCs it has, and is closed. So no RPC may fail.\n\n")
	fmt.Printf("%-10s%7s%20s%11s%16s%9s\n",
		"second", "RPC/s", "connections made", "open now", "closed so far", "failed")

	return withChannel(renewing, func(s *server, client healthpb.HealthClient) error {
		l := startLoad(client, rpcTimeout)
		printEachSecond(l, s)
		r := l.stop()
		if err := l.err(); err != nil {
			return err
		}
		if replaced := s.seen().firstReplaced(); replaced < poolSize {
			return fmt.Errorf("only %d of the %d first connections were replaced", replaced, poolSize)
		}
		fmt.Printf("\nAll %d first connections replaced, failed %d.\n", poolSize, r.failed)
		return nil
	})
}

// printEachSecond goes on until all connections of the start are replaced.
func printEachSecond(l *load, s *server) {
	before, since := int64(0), l.began
	for lasted := time.Second; lasted <= patience; lasted += time.Second {
		time.Sleep(time.Until(l.began.Add(lasted)))
		succeeded, now := l.succeeded.Load(), time.Now()
		rate := float64(succeeded-before) / now.Sub(since).Seconds()
		before, since = succeeded, now

		all := s.seen()
		closed := all.closed()
		fmt.Printf("%-10.0f%7.0f%20d%11d%16d%9d\n",
			lasted.Seconds(), rate, len(all), len(all)-closed, closed, l.failed.Load())
		if lasted >= renewTime && all.firstReplaced() == poolSize {
			return
		}
	}
}

// actThree lets one connection go dark: it stays up, and what is sent on it vanishes.
func actThree() error {
	fmt.Printf("\nAct three: after a second of the same load one connection goes dark, as when\n")
	fmt.Printf("something on the way forgot it: it stays up, and what is sent on it vanishes.\n")
	fmt.Printf("The RPCs on it fail at their deadline of %v. The pool notices, sends it no\n", shortTimeout)
	fmt.Printf("more, and replaces it.\n\n")
	fmt.Printf("%-10s%7s%20s%11s%9s\n", "second", "RPC/s", "connections made", "open now", "failed")
	return withChannel(watchful, func(s *server, client healthpb.HealthClient) error {
		l := startLoad(client, shortTimeout)
		defer l.stop()
		time.Sleep(time.Second)
		before, failedBefore := l.row(s, 0, 0)
		s.seen()[0].dark.Store(true)
		for began := time.Now(); ; {
			time.Sleep(500 * time.Millisecond)
			succeeded, failed := l.row(s, before, failedBefore)
			if s.seen()[0].closed && failed == failedBefore && time.Since(began) >= darkTime {
				fmt.Printf("\nThe dark connection is gone, and nothing fails any more.\n")
				return nil
			}
			if time.Since(began) > patience {
				return fmt.Errorf("the dark connection was not replaced in %v", patience)
			}
			before, failedBefore = succeeded, failed
		}
	})
}

// row prints what happened since the last row.
func (l *load) row(s *server, before, failedBefore int64) (succeeded, failed int64) {
	succeeded, failed = l.succeeded.Load(), l.failed.Load()
	all := s.seen()
	fmt.Printf("%-10.1f%7.0f%20d%11d%9d\n", time.Since(l.began).Seconds(), float64(succeeded-before)/time.Since(l.rowAt).Seconds(),
		len(all), len(all)-all.closed(), failed-failedBefore)
	l.rowAt = time.Now()
	return succeeded, failed
}

// withChannel gives f a server and a channel to it of its own, so that no
// connection of another run is counted.
func withChannel(serviceConfig string, f func(*server, healthpb.HealthClient) error) (err error) {
	s, err := startServer()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()

	channel, err := grpc.NewClient(s.address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, channel.Close()) }()
	return f(s, healthpb.NewHealthClient(channel))
}
