package process

import "syscall"

// ownGroup puts a program in a process group of its own, and ends it should the test
// die before it can.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
