//go:build linux

package service

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside is set in the environment of a process that has a network namespace of its own.
const inside = "SUBPOOL_SERVICE_NAMESPACE"

// barred says why the tests cannot run, if they cannot.
var barred error

// TestMain runs the tests in another process, all of which is in a new namespace: there they
// may change what they like, and whatever they leave behind ends with them.
func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		if err := raiseLoopback(); err != nil {
			fmt.Fprintln(os.Stderr, "loopback interface:", err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	code, err := rerun()
	if err == nil {
		os.Exit(code)
	}
	barred = err
	os.Exit(m.Run())
}

// rerun starts this program again, in a new namespace, and tells how it ended.
func rerun() (code int, err error) {
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	runtime.LockOSThread() // or the child would be ended with a thread, and not with this process
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("no network namespace can be made: %w", err)
	}
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return 1, nil // it ran, and nobody knows how it ended
	}
	return cmd.ProcessState.ExitCode(), nil
}

// raiseLoopback sets up lo, which is down in a new namespace.
func raiseLoopback() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo)
}
