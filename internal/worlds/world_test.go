package worlds

import (
	"time"

	"google.golang.org/grpc/codes"
)

// A World is servers with habits, callers with habits, and what happens to them.
type World struct {
	Seed    uint64 // of what is left to chance
	Servers []Server
	Apart   bool // each server has an address of its own, instead of one L4 balancer before all
	Random  bool // the L4 balancer deals by chance, instead of in turn
	Skips   bool // the L4 balancer knows which servers refuse
	Latency time.Duration
	Dial    time.Duration // that each dial takes
	Warm    time.Duration // beyond two handshakes, before the callers begin
	Callers []Callers
	Events  []Event
	Setting string        // of the pool, in JSON
	Churn   time.Duration // with addresses apart: so often the resolver drops a server, and lists the last one again

	Health    bool          // the clients ask for a health service
	Keepalive time.Duration // of the clients; 0 is none

	FewDials   bool // the pool may dial but twice more
	EvenShares bool // the share of RPCs that a failing server gets is compared
	Own        Own
}

// Own is what the spec promises of the pool itself, whatever plain channels do. A field
// that is 0 promises nothing.
type Own struct {
	Failures  int // at most; 0 promises nothing
	NoFailure bool
	Ended     int           // RPCs as they should, at least
	Slowest   time.Duration // at most

	Dials       int  // in all, at most
	Connections int  // at a time, at most
	Gone        bool // from memory, after the end
	Rush        int  // dials within 100 ms after the callers began, at most
	Steady      bool // no 100 ms have less than half of the mean
}

// A Server has habits.
type Server struct {
	Cap    int           // RPCs that it takes on a connection, as nginx's keepalive_requests; 0 is any
	Age    time.Duration // after which it ends a connection, ± 10 %
	Idle   time.Duration // without a stream, after which it ends a connection
	Ending Ending        // how it does either
	Limit  Limit
	Slow   time.Duration // that it takes longer
	Fails  codes.Code    // what it answers at once to all, if not OK
	Few    int           // answers, after which it closes the connection by a FIN
	Mute   int           // after so many it answers no health check; 0 is never

	EndsWatch   int  // so often on each connection it ends the health checking, which begins anew
	RefusesLate bool // streams that come after it has announced an end are refused one by one
}

// A Limit is how many streams a server allows, and how it says so.
type Limit struct {
	Streams int // 0 is none
	Late    bool
	Then    int           // another limit that it states, -1 is 0 streams
	After   time.Duration // so long after the first
	Back    time.Duration // so long after that the first one again; 0 is never
}

// An Ending is how a server ends a connection.
type Ending int

// Those of real servers. Frames are GOAWAYs.
const (
	Graceful        Ending = iota // 2³¹−1, after a round trip the final GOAWAY, which refuses none
	Final                         // the final GOAWAY at once
	TwoStep                       // 2³¹−1, and 0.1 ms later the final one, which may refuse
	Fin                           // the connection is closed, whatever is on it
	EnhanceYourCalm               // ENHANCE_YOUR_CALM with debug text, then closed
	EnterIdle                     // last stream 0, INTERNAL_ERROR, closed
	endings
)

func (g Ending) String() string {
	return [...]string{"a graceful GOAWAY", "a final GOAWAY at once", "a GOAWAY and 0.1 ms later the final one",
		"a FIN", "ENHANCE_YOUR_CALM", "INTERNAL_ERROR with last stream 0"}[g]
}

// losesRPCs reports whether RPCs are lost by it, and not only refused.
func (g Ending) losesRPCs() bool { return g == Fin || g == EnhanceYourCalm || g == EnterIdle }

// An Event is what happens to a server, or to all (-1).
type Event struct {
	At     time.Duration // after the callers began
	Server int
	What   What
	Ending Ending        // of End, EndOne and Restart
	For    time.Duration // of Restart, Flap, Refuse and Hang
	Limit  int           // of SetLimit
}

// What may happen.
type What int

// Events.
const (
	End          What = iota // all its connections end, new ones are taken at once
	EndOne                   // its youngest connection ends
	Restart                  // all end, and dials are refused for a while
	Flap                     // new connections are accepted and closed for a while
	Refuse                   // dials are refused for a while
	Hang                     // dials hang for a while
	SetLimit                 // it states another limit on all connections
	Darken                   // its youngest connection goes dark
	RefuseStream             // its youngest connection with streams refuses the last one, and ends
)

// Callers make RPCs, at a rate or one after the other.
type Callers struct {
	From, For time.Duration
	Rate      float64       // RPCs in a second; or
	Loop      int           // so many callers, each one RPC after the other
	Pause     time.Duration // between them
	Burst     int           // at a time; 0 is 1
	Takes     time.Duration // that the server takes, ± 50 %
	Deadline  time.Duration // 0 is 20 s

	ShortOneIn int // of RPCs that have a deadline of Short
	Short      time.Duration
	FailOneIn  int // of RPCs whose credentials fail
	SlowOneIn  int // of RPCs whose credentials take Creds
	Creds      time.Duration
	CodeOneIn  int // of RPCs that the application answers with Code
	Code       codes.Code
	Streams    int  // as many long ones, from From on for For
	Leaked     int  // streams that are not read
	Wait       bool // for ready
}

func (w *World) roundTrip() time.Duration { return 2 * w.Latency }

// handshake is a dial, and the wait for the server's SETTINGS.
func (w *World) handshake() time.Duration { return w.Dial + w.roundTrip() }

// lasts is how long the callers call.
func (w *World) lasts() (d time.Duration) {
	for _, c := range w.Callers {
		d = max(d, c.From+c.For)
	}
	return d
}
