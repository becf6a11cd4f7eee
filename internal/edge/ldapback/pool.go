package ldapback

import (
	"context"
	"errors"
	"slices"
	"time"

	"bridge.example/internal/fault"
)

var errClosed = fault.New(fault.Unavailable, "directory connection closed")

// attempt is the opening of one connection, which several searches may await.
type attempt struct {
	done chan struct{} // closed at the end
	err  error         // read after done
}

// backoff spaces attempts at a server that fails.
type backoff struct {
	failures int
	until    time.Time
	err      error // the last
}

const (
	firstDelay = 100 * time.Millisecond
	maxDelay   = 10 * time.Second
)

func (b *backoff) failed(err error) {
	delay := min(firstDelay<<min(b.failures, 10), maxDelay)
	b.failures++
	b.until, b.err = time.Now().Add(delay), err
}

// acquire takes a place on the open connection with the fewest searches, and
// opens another when all are busy and there may be one more. used says that the
// connection has answered before. Every place is given back with release.
func (p *Pool) acquire(ctx context.Context) (c *conn, used bool, err error) {
	var awaited *attempt
	for {
		p.mu.Lock()
		p.prune()
		c := p.leastPending()
		if p.closed {
			p.mu.Unlock()
			return nil, false, errClosed
		}
		wanted := c == nil || c.pending > 0
		if wanted && p.opening == nil && len(p.conns) < p.o.Connections && !time.Now().Before(p.retry.until) {
			p.open()
		}
		if c != nil {
			c.pending++
			used = c.proven.Load()
			p.mu.Unlock()
			return c, used, nil
		}
		opening, last := p.opening, p.retry.err
		full := len(p.conns) > 0
		p.mu.Unlock()
		switch {
		case awaited != nil && awaited.err != nil:
			return nil, false, awaited.err
		case opening == nil && full:
			return nil, false, fault.New(fault.Unavailable, "too many searches at this directory")
		case opening == nil:
			return nil, false, fault.New(fault.Unavailable, "not retrying yet: %w", last)
		}
		select {
		case <-opening.done:
			awaited = opening
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// leastPending returns the open connection with most room, nil when none has any.
func (p *Pool) leastPending() *conn {
	var best *conn
	for _, c := range p.conns {
		if c.pending < p.o.Searches && (best == nil || c.pending < best.pending) {
			best = c
		}
	}
	return best
}

// prune forgets connections that ended, and ends those that were idle for too
// long: firewalls forget them without telling either side.
func (p *Pool) prune() {
	p.conns = slices.DeleteFunc(p.conns, func(c *conn) bool {
		if c.pending == 0 && time.Since(c.idleSince) > p.o.IdleTimeout {
			c.fail(errClosed)
		}
		return c.reason() != nil
	})
}

// release gives a place back.
func (p *Pool) release(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.pending--
	c.idleSince = time.Now()
	if c.proven.Load() && !c.credited {
		c.credited, p.retry = true, backoff{}
	}
}

// open starts an attempt. p.mu is held.
func (p *Pool) open() {
	ctx, cancel := context.WithTimeout(context.Background(), p.o.OpenTimeout)
	a := &attempt{done: make(chan struct{})}
	p.opening, p.stop = a, cancel
	p.running.Go(func() {
		defer cancel()
		c, err := p.connect(ctx)
		p.mu.Lock()
		defer p.mu.Unlock()
		defer close(a.done)
		p.opening = nil
		switch {
		case err != nil:
			a.err = fault.New(fault.Unavailable, "connecting: %w", err)
			p.retry.failed(a.err)
		case p.closed:
			a.err = errClosed
			c.nc.Close()
		default:
			c.idleSince = time.Now()
			p.conns = append(p.conns, c)
			p.running.Go(func() { p.serve(c) })
			p.running.Go(c.write)
		}
	})
}

// serve reads from c until it fails, then forgets it.
func (p *Pool) serve(c *conn) {
	err := c.read()
	c.fail(err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = slices.DeleteFunc(p.conns, func(other *conn) bool { return other == c })
	if reason := c.reason(); !c.proven.Load() && !errors.Is(reason, errClosed) {
		p.retry.failed(reason)
	}
}
