package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
	"bridge.example/internal/fault"
)

func (t *tool) authRequest() *cobra.Command {
	return &cobra.Command{
		Use: "request DIR", Short: "Make a key and a request for a credential, offline", Args: cobra.ExactArgs(1),
		Long: `Makes DIR with key.pem, which never leaves it, and request.pem, a PKCS #10 for
whoever proposes you. Read the SHA-256 of its public key to whoever confirms you.
What comes back, certificate.pem, ca.pem and server, goes
into DIR too; then it is a credential directory. Nobody is asked.

JSON: {"key", "request", "sha256"}: the two files, and that of the public key.`,
		RunE: t.run(func(_ context.Context, args []string) error {
			der, err := makeRequest(args[0])
			if err != nil {
				return err
			}
			key, request := filepath.Join(args[0], "key.pem"), filepath.Join(args[0], "request.pem")
			var r rows
			r.add("key", key)
			r.add("request", request)
			r.add("public key", keyOf(der))
			return t.emit(map[string]string{"key": key, "request": request, "sha256": keyOf(der)}, nil, r)
		}),
	}
}

func (t *tool) authRenew() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "renew --out DIR", Short: "Get yourself the next credential", Args: cobra.NoArgs,
		Long: `Makes DIR, which must not exist, a credential directory with a new key and a new
certificate for you. It needs nobody else, while your credential is in force. The
old one stays until it expires; "auth withdraw" ends it.

JSON: {"credentials"}: the directory.`,
		RunE: t.run(func(ctx context.Context, _ []string) error {
			request, err := makeRequest(out)
			if err != nil {
				return err
			}
			err = t.ask(func(client proto.BridgeClient) error {
				r, err := client.RenewCredential(ctx, &proto.RenewCredentialRequest{Request: request})
				if err != nil {
					return err
				}
				if err := t.writeCredential(out, r.GetCertificate()); err != nil {
					return err
				}
				var text rows
				text.add("credentials", out)
				return t.emit(map[string]string{"credentials": out}, nil, text)
			})
			if err != nil && !t.emitted {
				err = errors.Join(err, os.RemoveAll(out)) // so that it can be tried again
			}
			return err
		}),
	}
	c.Flags().StringVar(&out, "out", "", "`directory` to make")
	must(c.MarkFlagRequired("out"))
	return c
}

// makeRequest makes dir with a new key and its PKCS #10, which it returns as
// DER. The request names nobody: who it is for, the bridge decides.
func makeRequest(dir string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fileFault(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "key.pem"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fileFault(err)
	}
	_, err = f.Write(encodePEM("PRIVATE KEY", private))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fileFault(err)
	}
	return request, writeFile(filepath.Join(dir, "request.pem"), encodePEM("CERTIFICATE REQUEST", request))
}

// keyOf is the SHA-256 of the public key in a PKCS #10, lower-case hex; empty
// without one. Of a request that cannot be read it says so.
func keyOf(request []byte) string {
	if len(request) == 0 {
		return ""
	}
	r, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return "unreadable"
	}
	sum := sha256.Sum256(r.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// readRequest reads a PKCS #10 file, PEM or DER, and checks that it is one.
func readRequest(path string) ([]byte, error) {
	b, err := readFile(path, maxCertificateBytes)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(b); block != nil {
		b = block.Bytes
	}
	if _, err := x509.ParseCertificateRequest(b); err != nil {
		return nil, fault.New(fault.Invalid, "%s: no PKCS #10 request: %w", path, err)
	}
	return b, nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
