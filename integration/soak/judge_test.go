package soak

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A ruling is how an RPC should be judged that began at second 7 and ended at 10.
type ruling struct {
	name string
	rpc  func(*rpc, *link, *backend)
	code codes.Code
	text string
	want verdict
}

const (
	lost    = "error reading from server: EOF"
	noReady = "subpool: busy0:///servers: last connection error: connection refused"
	tooMany = "subpool: maxPending: 7, as many RPCs wait already"
)

// Each cause has a twin beside it in which the test did not do that.
var rulings = []ruling{
	{"answered", usually, codes.OK, "", succeeded},
	{"answered, though it should not be", doomedly, codes.OK, "", outside},
	{"not known", usually, codes.Internal, "", outside},

	{"cancelled", func(r *rpc, _ *link, _ *backend) { r.cancelled = second(9) }, codes.Canceled, "", cancelled},
	{"not cancelled by the test", usually, codes.Canceled, "", outside},

	{"never answered", doomedly, codes.DeadlineExceeded, "", asPlanned},
	{"before its deadline", func(r *rpc, _ *link, _ *backend) { doomedly(r, nil, nil); r.deadline = second(11) }, codes.DeadlineExceeded, "", outside},
	{"in a black hole", func(r *rpc, l *link, _ *backend) { hastily(r, nil, nil); l.darkAt = second(8) }, codes.DeadlineExceeded, "", inBlackHole},
	{"with a short deadline", hastily, codes.DeadlineExceeded, "", shortDeadline},
	{"hung", usually, codes.DeadlineExceeded, "", outside},
	{"hung beyond the deadline", func(r *rpc, _ *link, _ *backend) { r.deadline = second(-1) }, codes.OK, "", outside},

	{"on a broken link", func(_ *rpc, l *link, _ *backend) { l.breaks = []harm{{at: second(9)}} }, codes.Unavailable, lost, onBroken},
	{"just before it was broken", func(_ *rpc, l *link, _ *backend) { l.breaks = []harm{{at: second(11)}} }, codes.Unavailable, lost, outside},
	{"on a link long broken", func(_ *rpc, l *link, _ *backend) { l.breaks = []harm{{at: second(3)}} }, codes.Unavailable, lost, outside},
	{"on a link broken twice", func(_ *rpc, l *link, _ *backend) { l.breaks = []harm{{at: second(3)}, {at: second(9)}} }, codes.Unavailable, lost, onBroken},
	{"on a sound link", usually, codes.Unavailable, lost, outside},
	{"on no link", func(r *rpc, _ *link, _ *backend) { r.attempts = nil }, codes.Unavailable, lost, outside},
	{"closed by force", func(r *rpc, _ *link, _ *backend) { r.stints[0].DrainTimeout = 2 * time.Second }, codes.Unavailable, lost, forceClosed},
	{"closed by force too soon", func(r *rpc, _ *link, _ *backend) { r.stints[0].DrainTimeout = 5 * time.Second }, codes.Unavailable, lost, outside},
	{"closed by force on its second link", func(r *rpc, l *link, _ *backend) {
		r.stints[0].DrainTimeout = 2 * time.Second
		r.attempts = append(r.attempts, attempt{l, second(9)}, attempt{l, second(9.5)})
	}, codes.Unavailable, lost, outside},

	{"in an outage", func(r *rpc, _ *link, _ *backend) { r.outages = []span{{second(6), second(8)}} }, codes.Unavailable, noReady, noneReady},
	{"before an outage", func(r *rpc, _ *link, _ *backend) { r.outages = []span{{second(11), time.Time{}}} }, codes.Unavailable, noReady, outside},
	{"after an outage", func(r *rpc, _ *link, _ *backend) { r.outages = []span{{second(3), second(6)}} }, codes.Unavailable, noReady, outside},
	{"in an outage, but waiting for ready", func(r *rpc, _ *link, _ *backend) {
		r.kind, r.outages = patient, []span{{second(6), second(8)}}
	}, codes.Unavailable, noReady, outside},

	{"refused", func(r *rpc, _ *link, b *backend) { bounded(r, 7); b.limits = []span{{second(1), time.Time{}}} }, codes.ResourceExhausted, tooMany, refused},
	{"refused with another bound", func(r *rpc, _ *link, b *backend) { bounded(r, 70); b.limits = []span{{second(1), time.Time{}}} }, codes.ResourceExhausted, tooMany, outside},
	{"refused without a limit", func(r *rpc, _ *link, _ *backend) { bounded(r, 7) }, codes.ResourceExhausted, tooMany, outside},
}

func usually(*rpc, *link, *backend)        {}
func doomedly(r *rpc, _ *link, _ *backend) { r.kind, r.deadline = doomed, second(10) }
func hastily(r *rpc, _ *link, _ *backend)  { r.kind, r.deadline = hasty, second(10) }
func bounded(r *rpc, maxPending int)       { r.stints[0].MaxPending = maxPending }

// second is an instant.
func second(n float64) time.Time { return started.Add(time.Duration(n * float64(time.Second))) }

func TestTheModelAllowsOnlyWhatTheTestDid(t *testing.T) {
	for _, tt := range rulings {
		t.Run(tt.name, func(t *testing.T) {
			sanctuary := &backend{}
			l := &link{to: &backend{}}
			r := &rpc{
				kind:     usual,
				channel:  &channel{stints: []stint{{span{from: second(0)}, calmSettings(), false}}},
				attempts: []attempt{{l, second(8.5)}},
				begin:    second(7), end: second(10), deadline: second(10),
				err: status.Error(tt.code, tt.text),
			}
			tt.rpc(r, l, sanctuary)
			got, _ := judge(r, sanctuary)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestASeedReplaysTheFaults(t *testing.T) {
	first := func(seed, round uint64) (events []event) {
		for e := range schedule(seed, round) {
			if events = append(events, e); len(events) == 1000 {
				break
			}
		}
		return events
	}
	require.Equal(t, first(1, 2), first(1, 2)) //nolint:testifylint // it is drawn twice
	require.NotEqual(t, first(1, 2), first(2, 2))
	require.NotEqual(t, first(1, 2), first(1, 3))
	for i, f := range faults {
		require.True(t, slices.ContainsFunc(first(1, 2), func(e event) bool { return e.fault == i }), "%s never comes", f.name)
	}
}

// An RPC knows its link before it has a stream there: it need not have one to be
// judged.
func TestAnRPCWithoutAStreamKnowsItsLink(t *testing.T) {
	s := newSoak(t, 1)
	c := newChannel(t, "traced", s.backends[:1])
	defer c.Close()
	s.backends[0].Limit(0)
	require.Eventually(t, func() bool {
		r := &rpc{channel: c}
		ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), rpcKey{}, r), 100*time.Millisecond)
		defer cancel()
		err := emptyCall(ctx, c)
		l, _, _ := r.last()
		return status.Code(err) == codes.DeadlineExceeded && l != nil && l.to == s.backends[0]
	}, 30*time.Second, time.Millisecond)
}
