// Package vdir is the virtual directory: one tree over the directories of all
// members, which answers one question, "which certificate encrypts for this
// mail address?".
//
// It owns the shape of the tree, which mail domain belongs to which member, how
// each kind of directory is asked, what may be asked and shown, and the checks
// every certificate passes before it leaves. It stores nothing: each answer
// comes from the member that moment. It speaks names, filters and values; BER
// and connections are elsewhere.
//
//	o=bridge
//	├── ou=Members
//	│   └── o=alpha                  one per member
//	└── o=alpha
//	    └── ou=People
//	        └── mail=alice@alpha.example
package vdir

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
)

// Scope is a search scope; the numbers are those of RFC 4511 §4.5.1.2.
type Scope uint8

// The scopes of RFC 4511 §4.5.1.2.
const (
	BaseObject   Scope = 0
	SingleLevel  Scope = 1
	WholeSubtree Scope = 2
)

// Query is one search, in terms of names and values, without BER.
type Query struct {
	Base       string // RFC 4514; empty means the root
	Scope      Scope
	Filter     ldap.Filter
	Attributes []string      // attribute descriptions as asked; empty means all user attributes
	TypesOnly  bool          // values are left out
	SizeLimit  int           // entries; 0 means no limit of the client's
	TimeLimit  time.Duration // 0 means no limit of the client's
}

// Attribute is one attribute of an entry. Type is the attribute description,
// options included: "userCertificate;binary".
type Attribute struct {
	Type   string
	Values [][]byte
}

// Entry is one search result.
type Entry struct {
	DN         string
	Attributes []Attribute
}

// Outcome says how complete a search that returned no error was.
type Outcome struct {
	SizeLimitExceeded bool
	// Unavailable names the mounts whose answer is missing.
	Unavailable []string
}

// Backend answers searches: a member's directory, or the whole virtual one.
//
// Search calls yield for each entry, from one goroutine; yield may keep the
// entry but does not change its values. An error of yield stops the search and
// is returned. Search returns when ctx ends. Errors have kinds: NotFound (no
// such base), Denied (the question is not allowed), Invalid, Unavailable (the
// directory does not answer). Entries yielded before an error are valid.
// Implementations are safe for concurrent use.
type Backend interface {
	Search(ctx context.Context, q Query, yield func(Entry) error) (Outcome, error)
}

// Options tune a Directory; the zero value works.
type Options struct {
	// SupportedControls and SupportedExtensions are the OIDs the root DSE
	// announces; SupportedVersions the protocol versions, 3 when empty.
	SupportedControls   []string
	SupportedExtensions []string
	SupportedVersions   []int
	VendorName          string // RFC 3045; left out when empty

	MemberTimeout  time.Duration // for one lookup at one member, all endpoints together; default 5 s
	MemberSearches int           // lookups at one member at the same time; more wait; default 64

	Now func() time.Time // the instant certificates must be valid at; time.Now when nil
	Log *slog.Logger     // slog.Default when nil
}

func (o Options) withDefaults() Options {
	if len(o.SupportedVersions) == 0 {
		o.SupportedVersions = []int{3}
	}
	if o.MemberTimeout <= 0 {
		o.MemberTimeout = 5 * time.Second
	}
	if o.MemberSearches <= 0 {
		o.MemberSearches = 64
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// Directory is the virtual directory. It is a Backend, so that one bridge can
// stand behind another.
type Directory struct {
	suffix string // as given
	base   DN     // the same, parsed
	o      Options
	table  atomic.Pointer[table]
	// personClasses is shared by the entries of all people; nobody changes it.
	personClasses Attribute
}

var _ Backend = (*Directory)(nil)

// New returns a Directory without members whose tree hangs at suffix, such as
// "o=bridge". The error is Invalid: the suffix must be a name that starts with
// an o, ou, dc or c of its own.
func New(suffix string, o Options) (*Directory, error) {
	base, err := ParseDN(suffix)
	if err != nil {
		return nil, err
	}
	if len(base) == 0 || len(base[0]) != 1 || classOf(base[0][0].Type) == "" {
		return nil, fault.New(fault.Invalid, "suffix %q: want a name that starts with o, ou, dc or c", suffix)
	}
	d := &Directory{suffix: suffix, base: base, o: o.withDefaults()}
	d.personClasses = attribute("objectClass", "top", "person", "organizationalPerson", "inetOrgPerson", "pkiUser")
	return d, d.SetMounts(nil)
}
