package ldapfront

import (
	"context"
	"time"

	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

// operation is one search in flight. Its fields are guarded by conn.mu.
type operation struct {
	id     int32
	fate   fate
	cancel context.CancelFunc
}

// fate is what the client decided about an operation while it ran.
type fate uint8

const (
	wanted    fate = iota
	abandoned      // no response at all: RFC 4511 §4.11
	canceled       // the response says so: RFC 3909 §2
)

func (c *conn) begin(id int32, cancel context.CancelFunc) *operation {
	c.mu.Lock()
	defer c.mu.Unlock()
	op := &operation{id: id, cancel: cancel}
	c.operations[op] = struct{}{}
	return op
}

// end takes op off the list. From here on nobody can change its fate.
func (c *conn) end(op *operation) fate {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.operations, op)
	return op.fate
}

// giveUp seals the fate of operation id and reports whether there was one.
func (c *conn) giveUp(id int32, f fate) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := false
	for op := range c.operations {
		if op.id == id && op.fate == wanted {
			found = true
			op.fate = f
			op.cancel()
		}
	}
	return found
}

// search starts a search, for which the caller has taken a slot. It is on the
// list when search returns: the next request may be its Abandon.
func (c *conn) search(ctx context.Context, m ldap.Message, req ldap.SearchRequest) {
	limit := smaller(time.Duration(req.TimeLimit)*time.Second, c.opt.TimeLimit)
	ctx, cancel := context.WithTimeout(ctx, limit)
	op := c.begin(m.ID, cancel)
	c.running.Go(func() {
		defer func() { <-c.slots }()
		defer cancel()
		c.answer(ctx, op, m, req, limit)
	})
}

// answer carries a search out.
func (c *conn) answer(ctx context.Context, op *operation, m ldap.Message, req ldap.SearchRequest, limit time.Duration) {
	rec := record{start: time.Now(), op: req}
	var r ldap.Result
	r, rec.entries, rec.err = c.ask(ctx, m.ID, req, limit)
	switch c.end(op) {
	case abandoned:
		rec.code, rec.err = ldap.Canceled, nil
		c.logOperation(rec)
		return
	case canceled:
		r, rec.err = ldap.Result{Code: ldap.Canceled}, nil
	}
	rec.code = r.Code
	done := ldap.Message{ID: m.ID, Op: ldap.SearchResultDone{Result: r}}
	if paged(m) {
		// The whole result was the one page there is.
		done.Controls = []ldap.Control{ldap.PagedResults{}.Control(false)}
	}
	c.out.send(done)
	c.logOperation(rec)
}

// ask puts the question to the directory and sends the entries it yields.
func (c *conn) ask(ctx context.Context, id int32, req ldap.SearchRequest, timeLimit time.Duration) (r ldap.Result, entries int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
			r = resultOf(err, vdir.Outcome{})
		}
	}()
	if req.Scope > ldap.WholeSubtree {
		return ldap.Result{Code: ldap.ProtocolError, Diagnostic: "unknown scope"}, 0, nil
	}
	q := vdir.Query{
		Base:       req.Base,
		Scope:      vdir.Scope(req.Scope),
		Filter:     req.Filter,
		Attributes: req.Attributes,
		TypesOnly:  req.TypesOnly,
		SizeLimit:  smaller(int(req.SizeLimit), c.opt.SizeLimit),
		TimeLimit:  timeLimit,
	}
	outcome, err := c.dir.Search(ctx, q, func(e vdir.Entry) error {
		if entries == q.SizeLimit {
			return errSizeLimit
		}
		// A client that reads slowly slows its search.
		if err := c.out.room(ctx); err != nil {
			return err
		}
		if err := c.out.send(ldap.Message{ID: id, Op: encodable(e)}); err != nil {
			return err
		}
		entries++
		return nil
	})
	cause := err
	if err != nil && ctx.Err() != nil {
		cause = ctx.Err() // whatever else is said went wrong because of it
	}
	return resultOf(cause, outcome), entries, err
}

func encodable(e vdir.Entry) ldap.SearchResultEntry {
	attributes := make([]ldap.Attribute, len(e.Attributes))
	for i, a := range e.Attributes {
		attributes[i] = ldap.Attribute(a)
	}
	return ldap.SearchResultEntry{DN: e.DN, Attributes: attributes}
}

// paged reports whether m asks for paged results; checkControls has seen that
// it does so properly.
func paged(m ldap.Message) bool {
	for _, control := range m.Controls {
		if control.OID == ldap.OIDPagedResults {
			return true
		}
	}
	return false
}

// smaller is the limit in force; a client's of 0 means none.
func smaller[T int | time.Duration](client, server T) T {
	if client == 0 {
		return server
	}
	return min(client, server)
}
