// Package settings is the command explain.
package settings

import (
	"context"
	"flag"
	"fmt"
	"math"
	"strings"

	"github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/cmd/subpool/internal/cli"
)

const help = `subpool explain SETTINGS|TARGET [-clients N] [-endpoints M]

Tells every effective setting and where it comes from, and what a fleet of clients with
these settings comes to. It opens no connection.

  subpool explain '{"size":8}'                                      settings
  subpool explain '{"loadBalancingConfig":[{"subpool":{}}]}'        a service config
  subpool explain 'subpool:///svc.example.com:443?size=8' -clients 100   a target
`

// Run is the command.
func Run(_ context.Context, args []string, std cli.IO) error {
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	clients := flags.Int("clients", 1, "`number` of clients (channels) with these settings")
	endpoints := flags.Int("endpoints", 1, "`number` of server addresses to which each resolves the target")
	rest, err := cli.Parse(flags, help, args, std)
	switch {
	case err != nil:
		return err
	case len(rest) != 1:
		return cli.Bad("%d arguments, must be 1: settings or a target", len(rest))
	case *clients < 1:
		return cli.Bad("-clients: %d, must be at least 1", *clients)
	case *endpoints < 1:
		return cli.Bad("-endpoints: %d, must be at least 1", *endpoints)
	}
	e, err := subpool.Explain(rest[0])
	if err != nil {
		return cli.Bad("%v", err)
	}
	fmt.Fprint(std.Out, cli.PrintableLines(e.String()), "\n", fleet(e.Fleet(*clients, *endpoints), *clients, *endpoints))
	return nil
}

func fleet(f subpool.Fleet, clients, endpoints int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s each:\n", counted(clients, "client", "s"), counted(endpoints, "server address", "es"))
	row := func(what string, atRest, busy any) { fmt.Fprintf(&b, "%-52s%10v%10v\n", what, atRest, busy) }
	row("", "at rest", "busy")
	row("connections", f.Resting, f.Busy)
	row("dials an hour", int(math.Round(f.RestingDials)), int(math.Round(f.BusyDials)))
	row("most dials in a second, after all started together", tenth(f.RestingWave), tenth(f.BusyWave))
	fmt.Fprintf(&b, "All start together: %s at once. While all is replaced: never more than %s.\n",
		counted(f.RestartDials, "dial", "s"), counted(f.Most, "connection", "s"))
	return b.String()
}

func counted(n int, what, plural string) string {
	if n == 1 {
		plural = ""
	}
	return fmt.Sprintf("%d %s%s", n, what, plural)
}

func tenth(x float64) string { return fmt.Sprintf("%.1f", x) }
