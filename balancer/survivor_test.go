package balancer

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/resolver"

	"github.com/grpc-subpool/subpool/picker"
)

// pick makes an RPC on the connection of l, and reports whether it was taken.
func pick(l *picker.Load) bool {
	sc := base.SubConnInfo{Address: picker.WithLoad(resolver.Address{}, l, 0)}
	p := picker.Builder(picker.RoundRobin).Build(base.PickerBuildInfo{ReadySCs: map[balancer.SubConn]base.SubConnInfo{nil: sc}})
	_, err := p.Pick(balancer.PickInfo{})
	return err == nil
}

// A server restarts; one connection outlives that, for it is to the new process already.
// When that restarts, too, it is one of those which may refuse an RPC again.
//
// Guards: `Join` in spendLocked.
func TestAConnectionThatOutlivedARestartEndsWithTheOthersInTheNext(t *testing.T) {
	p, e := new(pool), &endpointOf{quota: quota{Quota: picker.NewQuota(0)}}
	connect := func() *slot {
		p.gate.Open()
		s := &slot{sub: subchannel{owner: e, load: picker.NewLoad(&p.gate)}}
		s.sub.load.Under(e.quota.Quota)
		return s
	}
	old, survivor := connect(), connect()
	restart := func(s *slot) {
		require.True(t, pick(s.sub.load))
		require.True(t, s.sub.load.Refused(0))
	}
	restart(old)
	require.True(t, e.quota.renew(start))
	fresh := connect()
	p.spendLocked(survivor, start)
	require.False(t, pick(survivor.sub.load))
	p.spendLocked(survivor, start.Add(endsWithin))
	require.True(t, pick(survivor.sub.load))

	restart(fresh)
	require.False(t, pick(survivor.sub.load))
}
