//go:build unix

// Package process runs the programs that a test needs, and ends them with it.
package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Find returns where a program is, or skips the test. Debian keeps servers in
// /usr/sbin, which not every user's PATH names.
func Find(t testing.TB, program, debianPackage string) string {
	t.Helper()
	for _, name := range []string{program, filepath.Join("/usr/sbin", program)} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("%s is not installed; in Debian it is in the package %s", program, debianPackage)
	return ""
}

// Dir returns a directory that is gone after the test. Its name is short enough for
// sockets in it, and what a program needs that runs as another user it can reach.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "subpool") //nolint:usetesting // t.TempDir has a long name
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// A Process is a program that runs, in a process group of its own.
type Process struct {
	Pid    int
	Ended  <-chan struct{} // closed when it has
	output string
}

// Start runs a program until the test ends. What it prints goes to a file in dir, and
// its end is shown if the test fails. It inherits the socket as descriptor 3, and the
// test's environment with env.
func Start(t testing.TB, dir string, socket *os.File, env []string, path string, args ...string) *Process {
	t.Helper()
	output, err := os.CreateTemp(dir, filepath.Base(path)+"-*.out")
	require.NoError(t, err)
	defer output.Close()
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, output, output
	cmd.Env, cmd.ExtraFiles = append(os.Environ(), env...), []*os.File{socket}
	cmd.SysProcAttr = ownGroup()
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	p := &Process{Pid: cmd.Process.Pid, Ended: ended, output: output.Name()}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			out := p.Output(t)
			t.Logf("the end of what %s printed:\n%s", filepath.Base(path), out[max(0, len(out)-2000):])
		}
	})
	return p
}

// Kill ends the process and its children, and waits for it.
func (p *Process) Kill() {
	select {
	case <-p.Ended: // its number may be another's by now
	default:
		_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
		<-p.Ended
	}
}

// Output is what it printed until now.
func (p *Process) Output(t testing.TB) string {
	t.Helper()
	out, err := os.ReadFile(p.output)
	require.NoError(t, err)
	return string(out)
}
