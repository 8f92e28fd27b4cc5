package balancer

import (
	"sync"
	"weak"

	"google.golang.org/grpc/balancer"
)

// A Spy is the policy under another name, and knows what it built last. It is
// exported, in a test, for the tests of the package from outside.
type Spy struct {
	builder
	name string
	mu   sync.Mutex
	last weak.Pointer[pool]
}

// NewSpy registers a Spy.
func NewSpy(name string) *Spy {
	s := &Spy{name: name}
	balancer.Register(s)
	return s
}

// Name implements balancer.Builder.
func (s *Spy) Name() string { return s.name }

// Build implements balancer.Builder.
func (s *Spy) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	b := s.builder.Build(cc, opts)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = weak.Make(b.(*pool))
	return b
}

// Alive reports whether the pool that was built last still is in memory.
func (s *Spy) Alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.Value() != nil
}
