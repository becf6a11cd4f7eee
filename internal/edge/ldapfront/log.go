package ldapfront

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"bridge.example/internal/wire/ldap"
)

// record is what is logged of one operation.
type record struct {
	start   time.Time
	op      ldap.Op
	entries int
	code    ldap.ResultCode
	err     error
}

// logOperation writes the one line about an operation: searches at Info, the
// rest at Debug, faults of our own at Error.
func (c *conn) logOperation(rec record) {
	level := slog.LevelDebug
	search, isSearch := rec.op.(ldap.SearchRequest)
	if isSearch {
		level = slog.LevelInfo
	}
	if rec.code == ldap.Other {
		level = slog.LevelError
	}
	ctx := context.Background()
	if !c.opt.Log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs, slog.String("remote", c.remote), slog.String("op", opName(rec.op)))
	if isSearch {
		attrs = append(attrs,
			slog.String("base", cut(redact(search.Base))),
			slog.String("filter", shape(search.Filter)),
			slog.Int("entries", rec.entries))
	}
	attrs = append(attrs,
		slog.String("code", rec.code.String()),
		slog.Duration("duration", time.Since(rec.start)))
	if rec.err != nil {
		attrs = append(attrs, slog.String("err", redact(rec.err.Error())))
	}
	c.opt.Log.LogAttrs(ctx, level, "ldap operation", attrs...)
}

// logEnd writes the one line about a connection, at Warn if the client
// misbehaved.
func (c *conn) logEnd(err error) {
	level := slog.LevelDebug
	switch n, _ := errors.AsType[*notice](err); {
	case n != nil && n.code == ldap.ProtocolError:
		level = slog.LevelWarn
	case errors.Is(err, errPanic):
		level = slog.LevelError
	case errors.Is(err, errUnbound), errors.Is(err, io.EOF):
		err = nil
	}
	attrs := []slog.Attr{slog.String("remote", c.remote)}
	if err != nil {
		attrs = append(attrs, slog.String("err", redact(err.Error())))
	}
	c.opt.Log.LogAttrs(context.Background(), level, "ldap connection ended", attrs...)
}

func opName(op ldap.Op) string {
	switch m := op.(type) {
	case ldap.BindRequest:
		return "bind"
	case ldap.SearchRequest:
		return "search"
	case ldap.ExtendedRequest:
		return "extended"
	case ldap.UpdateRequest:
		return m.Op.String()
	}
	return "unknown"
}

// address matches what may be, or hide, a mail address: a word with an at sign,
// plain or escaped, and the hexadecimal form of a value (RFC 4514 §2.4).
var address = regexp.MustCompile(`[^\s,=()<>:;"']*(@|\\40|%40)[^\s,=()<>:;"']*|#[0-9a-fA-F]+`)

var description = regexp.MustCompile(`^[A-Za-z0-9.;-]{1,64}$`)

const maxLogged = 200 // bytes of what a client sent

// redact takes mail addresses out of s.
func redact(s string) string {
	if !strings.ContainsAny(s, `@%\#`) {
		return s
	}
	return address.ReplaceAllString(s, "…")
}

// cut bounds s, after redact: half an address would no longer look like one.
func cut(s string) string {
	if len(s) > maxLogged {
		return s[:maxLogged] + "…"
	}
	return s
}

// shape is f without values: "(|(mail=)(cn=**))".
func shape(f ldap.Filter) string {
	return cut(string(appendShape(nil, f)))
}

func appendShape(b []byte, f ldap.Filter) []byte {
	if len(b) > maxLogged {
		return b
	}
	b = append(b, '(')
	switch f.Op {
	case ldap.And, ldap.Or, ldap.Not:
		b = append(b, "&|!"[f.Op])
		for _, child := range f.Children {
			b = appendShape(b, child)
		}
	case ldap.Substrings:
		b = append(appendDescription(b, f.Attribute), "=**"...)
	case ldap.Present:
		b = append(appendDescription(b, f.Attribute), "=*"...)
	case ldap.Equality:
		b = append(appendDescription(b, f.Attribute), '=')
	default:
		b = append(appendDescription(b, f.Attribute), "?="...)
	}
	return append(b, ')')
}

// appendDescription writes an attribute description, and "?" for anything that
// is none: clients put all sorts of things there.
func appendDescription(b []byte, s string) []byte {
	if !description.MatchString(s) {
		return append(b, '?')
	}
	return append(b, s...)
}
