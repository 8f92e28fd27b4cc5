// Package child runs a part of the benchmark in a process of its own, whose processor
// time and memory do not count: this program is started again, in a role.
package child

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

const (
	roleVariable    = "SUBPOOL_BENCH_ROLE"
	optionsVariable = "SUBPOOL_BENCH_OPTIONS"
)

// A Role is what a child does: it reads its options, answers each command in a line
// of in with a line of JSON, and returns when in ends.
type Role func(options []byte, in *bufio.Scanner, out *json.Encoder) error

// Main runs the role that this process was started in and exits, or returns if it is
// no child. It is the first thing that main, and TestMain, must call.
func Main(roles map[string]Role) {
	name := os.Getenv(roleVariable)
	if name == "" {
		return
	}
	role, ok := roles[name]
	err := fmt.Errorf("no such role: %q", name)
	if ok {
		err = role([]byte(os.Getenv(optionsVariable)), bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A Child is a running one.
type Child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// Start runs this program in that role.
func Start(role string, options any) (*Child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	js, err := json.Marshal(options)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, optionsVariable+"="+string(js))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Child{cmd, in, json.NewDecoder(out)}, nil
}

// Ask sends a command, "" for none, and waits for the next answer.
func (c *Child) Ask(command string, answer any) error {
	if command != "" {
		if _, err := fmt.Fprintln(c.in, command); err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
	}
	if err := c.out.Decode(answer); err != nil {
		return fmt.Errorf("%q: %w", command, err)
	}
	return nil
}

// Stop ends the child and waits for it.
func (c *Child) Stop() error { return errors.Join(c.in.Close(), c.cmd.Wait()) }
