package xmlsig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Verify checks a document that Sign made: one signature, the last child of the
// root, that covers all the rest, by the key of the first certificate in it.
// Whether that certificate is to be trusted is for the caller to say.
//
// The result refers to document. Errors: ErrFormat, ErrSignature.
func Verify(document []byte) (*Verified, error) {
	if len(document) > maxBytes {
		return nil, fmt.Errorf("%w: %d bytes are more than the %d allowed", ErrFormat, len(document), maxBytes)
	}
	start := bytes.LastIndex(document, []byte(signatureStart))
	end := bytes.LastIndex(document, []byte(signatureEnd)) + len(signatureEnd)
	if start < 0 || end < start {
		return nil, fmt.Errorf("%w: no signature of the form required", ErrFormat)
	}
	element, after := document[start:end], document[end:]
	// If the content below is a document, this is the end of its root: nowhere
	// but in tags does canonical form have that character.
	if !bytes.HasPrefix(after, []byte("</")) || bytes.Count(after, []byte("<")) != 1 {
		return nil, fmt.Errorf("%w: the signature is not the last child of the root", ErrFormat)
	}
	v := &Verified{before: document[:start], after: after}
	if err := check(v.Reader()); err != nil {
		return nil, err
	}
	s, ok := parse(string(element))
	if !ok {
		return nil, fmt.Errorf("%w: no signature of the form required", ErrFormat)
	}
	s.content = digest(v.before, v.after)
	signer := s.chain[0]
	alg, err := choose(signer.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if !bytes.Equal(s.encode(alg), element) {
		return nil, fmt.Errorf("%w: a digest or a byte of the signature is not what it would be for this document", ErrSignature)
	}
	der, ok := alg.toDER(s.value)
	if !ok {
		return nil, fmt.Errorf("%w: it has another length than the key's", ErrSignature)
	}
	if err := signer.CheckSignature(alg.alg, []byte(s.signedInfo(alg)), der); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	v.Signer, v.Others, v.SigningTime = signer, s.chain[1:], s.at.UTC()
	return v, nil
}

// check reads a document to its end: it is in canonical form, and has nothing
// that other software could take for the signature, or for what that refers to.
func check(r *Reader) error {
	for {
		t, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case t.Space == dsSpace || t.Space == xadesSpace:
			return fmt.Errorf("%w: an element of a signature in what is signed", ErrFormat)
		}
		for _, a := range t.Attr {
			if strings.EqualFold(a.Name, "id") {
				return fmt.Errorf("%w: an identifier in what is signed", ErrFormat)
			}
		}
	}
}
