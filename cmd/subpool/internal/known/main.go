// Command known probes four servers of which is known how many connections they want, and
// shows what is advised each time. Server and client are processes of their own.
//
//	go run ./internal/known -times 3
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/grpc-subpool/subpool/cmd/subpool/internal/cli"
	"github.com/grpc-subpool/subpool/cmd/subpool/internal/probe"
)

// A world is a server, and how it is probed.
type world struct {
	name, right string // the right answer
	start       func() (string, error)
	probe       []string
	environment string
}

const method = "grpc.testing.TestService/UnaryCall"

var worlds = []world{
	{
		name: "limited", right: "3: at most 100 streams on a connection, 300 in flight",
		start: func() (string, error) {
			return serve(&service{takes: 50 * time.Millisecond}, grpc.MaxConcurrentStreams(100))
		},
		probe: []string{method, "-c", "300"},
	},
	{
		name: "cpu", right: "1: the client has one thread, and RPCs cost the server nothing",
		start:       func() (string, error) { return serve(&service{}) },
		probe:       []string{method, "-c", "64"},
		environment: "GOMAXPROCS=1",
	},
	{
		name: "link", right: "many: 2 MB/s a connection and 16 KiB an RPC",
		start: func() (string, error) {
			addr, err := serve(&service{})
			if err != nil {
				return "", err
			}
			return proxy(slowly(2e6, 10*time.Millisecond), addr)
		},
		probe: []string{method, "-d", `{"responseSize":16384}`, "-c", "64"},
	},
	{
		name: "balancer", right: "4: four backends of 20 RPCs at a time each, in turn by connection",
		start: func() (string, error) {
			var backends []string
			for range 4 {
				addr, err := serve(&service{takes: 20 * time.Millisecond, turns: make(chan struct{}, 20)})
				if err != nil {
					return "", err
				}
				backends = append(backends, addr)
			}
			return proxy(atOnce, backends...)
		},
		probe: []string{method, "-c", "100"},
	},
}

func main() {
	times := flag.Int("times", 1, "how often each is probed")
	only := flag.String("only", "", "name of the world, or all")
	lasts := flag.String("for", "20s", "as of probe")
	verbose := flag.Bool("v", false, "show the tables, too")
	flag.Parse()
	switch flag.Arg(0) {
	case "serve":
		check(serveWorld(flag.Arg(1)))
		return
	case "probe":
		program := cli.Program{Name: "known", Commands: []cli.Command{{Name: "probe", Run: probe.Run}}}
		os.Exit(program.Run(context.Background(), flag.Args(), cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	for _, w := range worlds {
		if *only != "" && *only != w.name {
			continue
		}
		fmt.Printf("%s: right is %s\n", w.name, w.right)
		for range *times {
			out, err := w.run(*lasts)
			check(err)
			if *verbose {
				fmt.Print(out)
			} else {
				lines := strings.Split(strings.TrimSpace(out), "\n")
				fmt.Println("  advised", lines[len(lines)-1])
			}
		}
	}
}

func serveWorld(name string) error {
	for _, w := range worlds {
		if w.name == name {
			addr, err := w.start()
			if err != nil {
				return err
			}
			fmt.Println(addr)
			_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent ends
			return nil
		}
	}
	return fmt.Errorf("no world %q", name)
}

func (w world) run(lasts string) (string, error) {
	server := exec.Command(os.Args[0], "serve", w.name)
	stdin, err := server.StdinPipe()
	if err != nil {
		return "", err
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := server.Start(); err != nil {
		return "", err
	}
	defer func() {
		stdin.Close()
		_ = server.Wait()
	}()
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return "", err
	}
	client := exec.Command(os.Args[0], append([]string{"--", "probe", "-plaintext", "-for", lasts, strings.TrimSpace(addr)}, w.probe...)...)
	client.Env = append(os.Environ(), w.environment)
	client.Stderr = os.Stderr
	out, err := client.Output()
	return string(out), err
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "known:", err)
		os.Exit(1)
	}
}
