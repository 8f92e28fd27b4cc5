// Package inspect has what subpool.Pools shows of the pools of this process: how many
// subchannels each has and why, what they carry, and what was decided of late.
//
// All of it is plain copies: a [Pool] that is kept keeps nothing else alive.
package inspect

import (
	"time"

	"github.com/grpc-subpool/subpool/config"
)

// A Handle is a pool of this process. It may be kept: when the pool is closed, with its
// channel or because that went idle, the handle lets go of it.
type Handle interface {
	// ID returns the number of the pool, unique in this process.
	ID() uint64

	// Snapshot copies what the pool is at this moment; false if it is closed. It takes
	// the lock of the pool for a time that grows with the number of its subchannels, and
	// never holds up an RPC. Do not call it from what the pool calls under that lock: a
	// MetricsRecorder, a logger, a picker builder, a resolver's ResolveNow.
	Snapshot() (Pool, bool)

	// Recycle replaces every connection that the pool has now, as if all had reached the
	// end of their lives: within the budget, the successor connects first, the old one
	// finishes its RPCs. It returns at once. Use it after the certificate of the client
	// has changed, or when an address leads somewhere else now. Where it may be called
	// from, see Snapshot.
	Recycle()
}

// A Pool is one channel's pool at one moment.
type Pool struct {
	ID        uint64        `json:"id"` // unique in this process
	Target    string        `json:"target"`
	Name      string        `json:"name,omitempty"`  // the setting
	State     string        `json:"state"`           // connectivity state: READY, CONNECTING, TRANSIENT_FAILURE, IDLE
	Error     string        `json:"error,omitempty"` // why RPCs fail, in TRANSIENT_FAILURE; in another state why the last attempt failed, while any subchannel is in backoff for it
	At        time.Time     `json:"at"`              // when this was taken
	Since     time.Time     `json:"since"`           // when the pool was made
	Settings  config.Config `json:"settings"`
	Ignored   []string      `json:"ignored,omitempty"` // settings that were given and are not known, most likely misspelt
	Held      int           `json:"held"`              // RPCs that pickers hold: for a dial, a place, or a connection made after a GOAWAY
	Queued    int           `json:"queued"`            // RPCs that wait for a stream on full connections
	Lingering []Lingering   `json:"lingering,omitempty"`
	Endpoints []Endpoint    `json:"endpoints"`
	Totals    Totals        `json:"totals"`
	Decisions []Decision    `json:"decisions"` // the last ones, oldest first
}

// A Lingering is a connection that a GOAWAY has taken from its subchannel, and that still carries
// RPCs. No Budget has it: gRPC closes it after its last RPC.
type Lingering struct {
	Transport
	Since    time.Time `json:"since"`    // when it began to drain
	InFlight int       `json:"inFlight"` // RPCs
}

// An Endpoint is the duplicates of one server address.
type Endpoint struct {
	Addresses   []string     `json:"addresses"`         // alternatives
	Removed     bool         `json:"removed,omitempty"` // the resolver gives it no more
	State       string       `json:"state"`
	MinSize     int          `json:"minSize"`
	MaxSize     int          `json:"maxSize"`
	Wanted      int          `json:"wanted"`            // subchannels that the demand calls for, minSize to maxSize
	Missing     int          `json:"missing,omitempty"` // subchannels that the demand calls for beyond maxSize
	Demand      int          `json:"demand"`            // RPCs in flight when last sampled
	Peak        int          `json:"peak"`              // the largest demand of the last idleTimeout
	Limit       int          `json:"limit"`             // streams that the server allows a connection; -1 if it sets no limit, or was never connected to
	Budget      Budget       `json:"budget"`
	Subchannels []Subchannel `json:"subchannels"` // by order of their making
}

// Budget is the inequality that holds for every endpoint at any time:
// connections ≤ maxSize + budget + draining.
type Budget struct {
	Connections     int `json:"connections"`     // open or being made
	MostConnections int `json:"mostConnections"` // maxSize + budget + draining
	Draining        int `json:"draining"`
}

// TCP is what the system knows of a connection: TCP_INFO of Linux, by the names of gRFC A80.
type TCP struct {
	RTT                  time.Duration `json:"rtt"`                  // smoothed round-trip time, in nanoseconds
	RTTVariance          time.Duration `json:"rttVariance"`          // in nanoseconds
	MinRTT               time.Duration `json:"minRtt"`               // the shortest of late, in nanoseconds
	CongestionWindow     int           `json:"congestionWindow"`     // segments that may be under way
	Unacknowledged       int           `json:"unacknowledged"`       // segments that are
	PacketsSent          int64         `json:"packetsSent"`          // with data
	PacketsRetransmitted int64         `json:"packetsRetransmitted"` // of these
}

// A Transport is a connection as the system and the server tell of it.
type Transport struct {
	Local  string `json:"local,omitempty"` // its addresses as `ss` shows them
	Remote string `json:"remote,omitempty"`
	GoAway string `json:"goAway,omitempty"` // that the server sent: its code and debug data
	TCP    *TCP   `json:"tcp,omitempty"`    // nil where the system does not tell
}

// A Subchannel is one duplicate.
type Subchannel struct {
	ID         int        `json:"id"`                   // its number in the pool's log, by the order of making
	ChannelzID int64      `json:"channelzId,omitempty"` // of gRPC's subchannel, while there is one
	Address    string     `json:"address,omitempty"`    // as the resolver has it
	State      string     `json:"state"`                // idle, connecting, backoff (gRPC's), checking (connected, health unknown), not_serving, ready, draining
	Connected  *time.Time `json:"connected,omitempty"`  // when the connection was made
	EndOfLife  *time.Time `json:"endOfLife,omitempty"`  // when it will be replaced for its age
	LastUse    *time.Time `json:"lastUse,omitempty"`    // last seen in use, to within idleTimeout ÷ 16; where that is 0, there only while RPCs are in flight
	InFlight   int        `json:"inFlight"`
	Started    uint32     `json:"started"`            // RPCs on this connection, modulo 2³²
	Failed     uint32     `json:"failed"`             // of those that ended, in a way in which a server in trouble ends them
	Limit      int        `json:"limit"`              // streams that the server allows here; -1 if it sets no limit
	Suspect    bool       `json:"suspect,omitempty"`  // answers nothing, or fails more than its siblings: see unresponsiveTimeout and outlierInterval
	Replaces   string     `json:"replaces,omitempty"` // why its predecessor went: a reason of Totals.Retired
	Retired    string     `json:"retired,omitempty"`  // why it drains: the same
	Transport
}

// Totals count since the pool was made.
type Totals struct {
	Opened         int64            `json:"opened"`  // connections made
	Failed         int64            `json:"failed"`  // attempts that failed
	Retired        map[string]int64 `json:"retired"` // connections that ended, by reason: idle, max_lifetime, unresponsive, outlier, recycle, shrink, settings, endpoint_removed, lost, requests
	RenewalsFailed int64            `json:"renewalsFailed"`
	Grown          int64            `json:"grown"`       // subchannels added for demand
	Held           int64            `json:"held"`        // RPCs that waited for a dial
	Queued         int64            `json:"queued"`      // RPCs sent to wait in a full connection
	Refused        int64            `json:"refused"`     // RPCs ended RESOURCE_EXHAUSTED by maxPending
	ForceClosed    int64            `json:"forceClosed"` // RPCs in flight on connections that drainTimeout closed
	WaitSeconds    float64          `json:"waitSeconds"` // how long held and queued RPCs have waited, together, until they found a stream or gave up
}

// A Decision is something that a pool did, and why.
type Decision struct {
	At   time.Time `json:"at"`
	What string    `json:"what"` // grew, shrank, renewed, retired, lost, failed, force_closed, suspected, settings, endpoints, limit, capped, state, recycle
	Why  string    `json:"why"`  // in words: "grew 3→6: 171 in flight, 57 per subchannel, limit 100"
}
