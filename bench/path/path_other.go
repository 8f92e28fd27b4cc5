//go:build !linux

package path

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"syscall"
)

// A Path is for Linux alone.
type Path struct{}

// New fails.
func New(Line) (*Path, error) { return nil, fmt.Errorf("%w on %s", ErrUnavailable, runtime.GOOS) }

// Dial fails.
func (p *Path) Dial(context.Context, string) (net.Conn, error) { return nil, ErrUnavailable }

// UseCubic fails.
func UseCubic(string, string, syscall.RawConn) error { return ErrUnavailable }

// AtServer fails.
func (p *Path) AtServer(func() error) error { return ErrUnavailable }

// Close does nothing.
func (p *Path) Close() error { return nil }
