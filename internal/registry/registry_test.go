package registry_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grpc-subpool/subpool/config"
	"github.com/grpc-subpool/subpool/inspect"
	"github.com/grpc-subpool/subpool/internal/registry"
)

type source struct{ recycled int }

func (s *source) Snapshot() (inspect.Pool, bool) {
	return inspect.Pool{Target: "dns:///svc:443", Settings: config.Default()}, true
}

func (s *source) Recycle() { s.recycled++ }

// Guards: `live.handles = append` and DeleteFunc in Register.
func TestPoolsAreListedWhileTheyLive(t *testing.T) {
	a, b := new(source), new(source)
	removeA, removeB := registry.Register("dns:///svc:443", a), registry.Register("dns:///svc:443", b)
	pools := registry.Pools()
	require.Len(t, pools, 2)
	require.Less(t, pools[0].ID(), pools[1].ID(), "oldest first")
	removeA()
	removeA()
	require.Equal(t, pools[1:], registry.Pools())
	removeB()
	require.Empty(t, registry.Pools())
}

// Guards: `h.source.Store(nil)` in Register.
func TestAHandleOutlivesItsPool(t *testing.T) {
	s := new(source)
	remove := registry.Register("dns:///svc:443", s)
	h := registry.Pools()[0]
	shown, ok := h.Snapshot()
	require.True(t, ok)
	require.Equal(t, "dns:///svc:443", shown.Target)
	require.Equal(t, h.ID(), shown.ID)
	h.Recycle()
	remove()
	_, ok = h.Snapshot()
	require.False(t, ok)
	h.Recycle()
	require.Equal(t, 1, s.recycled)
}

// Guards: `h.target == target` in OfTarget.
func TestPoolsOfATargetAreFound(t *testing.T) {
	a, b := new(source), new(source)
	defer registry.Register("a", a)()
	removeB := registry.Register("b", b)
	require.Equal(t, []registry.Source{b}, registry.OfTarget("b"))
	removeB()
	require.Empty(t, registry.OfTarget("b"))
}

func TestAPoolIsJSON(t *testing.T) {
	remove := registry.Register("dns:///svc:443", new(source))
	defer remove()
	shown, _ := registry.Pools()[0].Snapshot()
	js, err := json.Marshal(shown)
	require.NoError(t, err)
	var back inspect.Pool
	require.NoError(t, json.Unmarshal(js, &back))
	require.Equal(t, shown.Target, back.Target)
}
