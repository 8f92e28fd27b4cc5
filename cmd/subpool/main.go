// Command subpool tells what settings come to, measures how many connections a server
// wants, and shows the live pools of a process.
//
//	go run github.com/grpc-subpool/subpool/cmd/subpool@latest explain 'subpool:///svc:443?size=8'
//
// docs/cli.md has each command with what it prints.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/grpc-subpool/subpool/cmd/subpool/internal/cli"
	"github.com/grpc-subpool/subpool/cmd/subpool/internal/probe"
	"github.com/grpc-subpool/subpool/cmd/subpool/internal/settings"
	"github.com/grpc-subpool/subpool/cmd/subpool/internal/watch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it the hard way
	p := cli.Program{
		Name:  "subpool",
		About: "helps with pools of gRPC connections: github.com/grpc-subpool/subpool",
		Commands: []cli.Command{
			{Name: "explain", About: "what settings come to, for one client and for a fleet", Run: settings.Run},
			{Name: "probe", About: "how many connections a server wants: calls it, and advises", Run: probe.Run},
			{Name: "watch", About: "the live pools of a process that mounts package page", Run: watch.Run},
		},
	}
	os.Exit(p.Run(ctx, os.Args[1:], cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
