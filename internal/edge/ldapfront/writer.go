package ldapfront

import (
	"context"
	"net"
	"sync"
	"time"

	"bridge.example/internal/wire/ldap"
)

// highWater is how much may wait for a client before those who make more wait
// themselves. One message may exceed it.
const highWater = 64 << 10

// writer sends messages in batches: while one write is under way, what comes
// next gathers for the following one.
type writer struct {
	raw     net.Conn // to close when writing fails
	timeout time.Duration

	mu      sync.Mutex
	filled  sync.Cond // the writing goroutine waits here
	drained sync.Cond // all others
	stream  net.Conn  // raw, or TLS over it
	buf     []byte
	spare   []byte
	writing bool
	closed  bool
	err     error
	ended   chan struct{}
}

func newWriter(nc net.Conn, timeout time.Duration) *writer {
	w := &writer{raw: nc, stream: nc, timeout: timeout, ended: make(chan struct{})}
	w.filled.L, w.drained.L = &w.mu, &w.mu
	go w.run()
	return w
}

// run writes until close and everything is sent, or until writing fails.
func (w *writer) run() {
	defer close(w.ended)
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for len(w.buf) == 0 && !w.closed {
			w.filled.Wait()
		}
		if len(w.buf) == 0 {
			return
		}
		batch, stream := w.buf, w.stream
		w.buf, w.spare, w.writing = w.spare[:0], nil, true
		w.mu.Unlock()
		stream.SetWriteDeadline(time.Now().Add(w.timeout))
		_, err := stream.Write(batch)
		w.mu.Lock()
		w.writing, w.err = false, err
		if cap(batch) <= 2*highWater { // one large answer should not stay in memory
			w.spare = batch
		}
		w.drained.Broadcast()
		if err != nil {
			w.raw.Close() // wakes the reader
			return
		}
	}
}

// send queues m; it does not wait. After a failure it does nothing.
func (w *writer) send(m ldap.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	buf, err := m.AppendTo(w.buf)
	if err != nil {
		return err
	}
	w.buf = buf
	w.filled.Signal()
	return nil
}

// room waits until less than highWater is queued.
func (w *writer) room(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.buf) >= highWater && w.err == nil {
		defer context.AfterFunc(ctx, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.drained.Broadcast()
		})()
	}
	for len(w.buf) >= highWater && w.err == nil && ctx.Err() == nil {
		w.drained.Wait()
	}
	if w.err != nil {
		return w.err
	}
	return ctx.Err()
}

// flush waits until everything queued is written.
func (w *writer) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for (len(w.buf) > 0 || w.writing) && w.err == nil {
		w.drained.Wait()
	}
	return w.err
}

// use directs everything later to stream.
func (w *writer) use(stream net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stream = stream
}

// failure returns the error that ended writing, if one did.
func (w *writer) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// close waits until everything queued is written or writing has failed.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.filled.Signal()
	w.mu.Unlock()
	<-w.ended
}
