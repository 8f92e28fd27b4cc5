package balancer

import (
	"container/heap"
	"time"
)

// deadlines are the endpoints that are to be planned at a time, the soonest first.
type deadlines struct{ queue deadlineQueue }

// set gives e a deadline, or with a zero time takes it away.
func (d *deadlines) set(e *endpoint, at time.Time) {
	switch queued := !e.deadline.IsZero(); {
	case at.Equal(e.deadline):
	case at.IsZero():
		heap.Remove(&d.queue, e.queuedAt)
		e.deadline = at
	case queued:
		e.deadline = at
		heap.Fix(&d.queue, e.queuedAt)
	default:
		e.deadline = at
		heap.Push(&d.queue, e)
	}
}

// next returns the soonest, zero if there is none.
func (d *deadlines) next() (at time.Time) {
	if len(d.queue) > 0 {
		at = d.queue[0].deadline
	}
	return at
}

// take takes an endpoint whose deadline has come, nil if there is none.
func (d *deadlines) take(now time.Time) *endpoint {
	if len(d.queue) == 0 || now.Before(d.queue[0].deadline) {
		return nil
	}
	e := d.queue[0]
	d.set(e, time.Time{})
	return e
}

// deadlineQueue implements heap.Interface.
type deadlineQueue []*endpoint

func (q *deadlineQueue) Len() int           { return len(*q) }
func (q *deadlineQueue) Less(i, j int) bool { return (*q)[i].deadline.Before((*q)[j].deadline) }
func (q *deadlineQueue) Swap(i, j int) {
	all := *q
	all[i], all[j] = all[j], all[i]
	all[i].queuedAt, all[j].queuedAt = i, j
}

// Push implements heap.Interface.
func (q *deadlineQueue) Push(x any) {
	e, _ := x.(*endpoint)
	e.queuedAt = len(*q)
	*q = append(*q, e)
}

// Pop implements heap.Interface.
func (q *deadlineQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return e
}
