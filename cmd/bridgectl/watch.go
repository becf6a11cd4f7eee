package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"bridge.example/api/proto"
)

// busy shows on a terminal that something takes long, and for how long, until
// stop is called.
func (t *tool) busy(what string) (stop func()) {
	if !t.errTerminal {
		return func() {}
	}
	start, done := time.Now(), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				fmt.Fprint(t.err, "\r\x1b[K")
				return
			case <-tick.C:
				fmt.Fprintf(t.err, "\r\x1b[K%s: %d s", harmless(what), int(time.Since(start).Seconds()))
			}
		}
	})
	return sync.OnceFunc(func() { close(done); wg.Wait() })
}

// watchEvery is how often a member is looked at while it is watched.
const watchEvery = time.Second

// watch looks at a member again and again, tells what is new on standard error,
// and returns it once done says so.
func (t *tool) watch(ctx context.Context, client proto.BridgeClient, id string, seen member, done func(member) bool) (member, error) {
	for !done(seen) {
		select {
		case <-ctx.Done():
			return seen, ctx.Err()
		case <-time.After(watchEvery):
		}
		r, err := client.GetMember(ctx, &proto.GetMemberRequest{Id: id})
		if err != nil {
			return seen, err
		}
		now := newMember(r.GetMember())
		for _, d := range now.Decisions[min(len(seen.Decisions), len(now.Decisions)):] {
			t.note("%s", d)
		}
		if now.Pending != "" && now.Pending != seen.Pending {
			t.note("pending: %s", now.Pending)
		}
		seen = now
	}
	return seen, nil
}

// settle waits until what the world sees of a member agrees with its record.
func (t *tool) settle(ctx context.Context, client proto.BridgeClient, id string) error {
	r, err := client.GetMember(ctx, &proto.GetMemberRequest{Id: id})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	m, err := t.watch(ctx, client, id, newMember(r.GetMember()), func(m member) bool { return m.Pending == "" })
	if err != nil {
		return err
	}
	t.note("what the world sees of %s agrees with its record", m.ID)
	return nil
}
