package path

import (
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A namespace has a network of its own.
type namespace struct{ file *os.File }

// newNamespace makes one, and calls f in it.
func newNamespace(f func() error) (*namespace, error) {
	n := new(namespace)
	err := onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		if n.file, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		if err := f(); err != nil {
			_ = n.file.Close()
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// do calls f in the namespace.
func (n *namespace) do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("setns", err)
		}
		return f()
	})
}

func (n *namespace) close() error { return n.file.Close() }

// onThread calls f in a thread that ends with it: whatever namespace it is in then, nothing
// else comes to run there.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		done <- f()
	}()
	return <-done
}

// openTUN makes a network device whose packets are read from the file, and written to it. It
// has an address, and leads to one other.
func openTUN(addr, peer net.IP) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open /dev/net/tun", err)
	}
	if err := raise(fd, addr, peer); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), nil
}

func raise(tun int, addr, peer net.IP) error {
	device, err := unix.NewIfreq("path")
	if err != nil {
		return err
	}
	device.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(tun, unix.TUNSETIFF, device); err != nil {
		return os.NewSyscallError("TUNSETIFF", err)
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(s)
	for _, step := range []struct {
		request uint
		set     func() error
	}{
		{unix.SIOCSIFADDR, func() error { return device.SetInet4Addr(addr.To4()) }},
		{unix.SIOCSIFDSTADDR, func() error { return device.SetInet4Addr(peer.To4()) }},
		{unix.SIOCSIFFLAGS, func() error { device.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }},
	} {
		if err := step.set(); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(s, step.request, device); err != nil {
			return os.NewSyscallError("ioctl", err)
		}
	}
	return nil
}
