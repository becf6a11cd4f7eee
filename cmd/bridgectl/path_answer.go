package main

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"bridge.example/internal/engine/pathval"
)

// pathAnswer is what "path build" and "path validate" found.
type pathAnswer struct {
	Valid bool `json:"valid"`

	Policies []string      `json:"policies,omitzero"`
	Anchor   *certificate  `json:"anchor,omitempty"`
	Path     []certificate `json:"path,omitempty"`

	Problem    string      `json:"problem,omitempty"`
	Rejections []rejection `json:"rejections,omitempty"`
	Omitted    int         `json:"omitted,omitempty"`

	Work *pathWork `json:"work,omitempty"` // not known of a single path refused
}

type rejection struct {
	Reason  string     `json:"reason"`
	Rule    string     `json:"rule"`
	Message string     `json:"message"`
	Path    []pathStep `json:"path,omitzero"`
	Index   *int       `json:"index,omitempty"`
}

type pathStep struct {
	Subject string `json:"subject"`
	SHA256  string `json:"sha256"`
}

type pathWork struct {
	Signatures int `json:"signatures"`
	Steps      int `json:"steps"`
	Candidates int `json:"candidates"`
	Names      int `json:"names"`
	Statuses   int `json:"statuses"`
	Fetches    int `json:"fetches"`
}

// answerPath writes what pathval found: a path, or why there is none.
func (t *tool) answerPath(r *pathval.Result, err error) error {
	if err != nil {
		return t.refusePath(err)
	}
	if t.output == "pem" {
		t.emitted = true
		for _, c := range r.Path {
			if err := pem.Encode(t.out, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}); err != nil {
				return err
			}
		}
		return nil
	}
	anchor := viewed(r.Anchor)
	a := pathAnswer{
		Valid: true, Anchor: &anchor, Path: each(r.Path, viewed), Work: newPathWork(r.Work),
		Policies: each(r.Policies, x509.OID.String),
	}
	return t.emit(a, nil, a.rows())
}

func (t *tool) refusePath(err error) error {
	var a pathAnswer
	if none, ok := errors.AsType[*pathval.NoPathError](err); ok {
		a.Problem, a.Rejections = none.Unwrap().Error(), each(none.Rejections, newRejection)
		a.Omitted, a.Work = none.Omitted, newPathWork(none.Work)
	} else if one, ok := errors.AsType[*pathval.Rejection](err); ok {
		a.Problem, a.Rejections = one.Error(), []rejection{newRejection(one)}
	} else {
		return err
	}
	var why strings.Builder
	if err := pathval.Explain(&why, nil, err); err != nil {
		return err
	}
	return t.refuse(a, withHint(no{errors.New(why.String())}, hintOf(err)))
}

// refuse writes a, an answer no, as JSON if that is asked for, and returns why.
func (t *tool) refuse(a pathAnswer, why error) error {
	if t.output == "json" {
		if err := t.emit(a, nil, nil); err != nil {
			return err
		}
	}
	return why
}

func newRejection(r *pathval.Rejection) rejection {
	return rejection{
		Reason: r.Reason.String(), Rule: r.Reason.Rule(), Message: r.Error(), Index: &r.Index,
		Path: each(r.Path, func(c *pathval.Certificate) pathStep {
			return pathStep{c.Subject.String(), hex.EncodeToString(c.Fingerprint[:])}
		}),
	}
}

func newPathWork(w pathval.Work) *pathWork {
	return &pathWork{w.Signatures, w.Steps, w.Candidates, w.Names, w.Statuses, w.Fetches}
}

// viewed describes a certificate that the standard library may refuse.
func viewed(c *pathval.Certificate) certificate {
	return certificate{
		Subject: c.Subject.String(), SHA256: hex.EncodeToString(c.Fingerprint[:]),
		NotAfter: c.NotAfter, Certificate: c.Raw,
	}
}

func (a pathAnswer) rows() (r rows) {
	policies := strings.Join(a.Policies, ", ")
	switch policies {
	case "":
		policies = "none"
	case pathval.AnyPolicy().String():
		policies = "any"
	}
	r.add("policies", policies)
	r.addCA("anchor", *a.Anchor)
	for i, c := range a.Path {
		r.addCA(fmt.Sprintf("certificate %d", i+1), c)
	}
	return r
}
