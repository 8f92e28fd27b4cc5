package fakecc

import "sync"

// A queue calls functions from one goroutine, in the order in which they were added.
type queue struct {
	mu      sync.Mutex
	added   sync.Cond
	waiting []func()
	calling bool
	ended   bool
	over    chan struct{} // closed when nothing is called any more
}

func (q *queue) begin() {
	q.added.L = &q.mu
	q.over = make(chan struct{})
	go q.run()
}

func (q *queue) run() {
	defer close(q.over)
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		for len(q.waiting) == 0 && !q.ended {
			q.added.Wait()
		}
		if q.ended {
			return
		}
		all := q.waiting
		q.waiting, q.calling = nil, true
		q.mu.Unlock()
		q.call(all)
		q.mu.Lock()
		q.calling = false
	}
}

// call calls all of them, unless the queue ends meanwhile.
func (q *queue) call(all []func()) {
	for _, f := range all {
		q.mu.Lock()
		ended := q.ended
		q.mu.Unlock()
		if ended {
			return
		}
		f()
	}
}

func (q *queue) add(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, f)
	q.added.Signal()
}

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) == 0 && !q.calling
}

// end forgets what has not been called, and waits for what is being called.
func (q *queue) end() {
	q.mu.Lock()
	q.ended = true
	q.added.Signal()
	q.mu.Unlock()
	<-q.over
}
