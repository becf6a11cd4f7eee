# What the defects of TestPlantedDefects are planted with, after the first five
# parts of docs/tutorial.md, in their shell. Each works in case/, a copy of alpha/;
# alpha/web is put right again afterwards.
SPARE=127.0.0.1:$((PORT + 9)) STRICT=127.0.0.1:$((PORT + 10)) OTHER=$((PORT + 11)) CLOSED=127.0.0.1:$((PORT + 12))

# application EXPRESSION: changes the application
application() { sed -i "$1" case/application.yaml; }

# mailbox NAME: one of the persons below
mailbox() { application "s/alice@/$1@/; s,$LDAP\",$SPARE\",; s/base: \"/base: \"ou=people,/; s/start_tls: true, //"; }

# certify EXPRESSION OPTION...: the issuing CA's certificate anew, its extensions changed
certify() {
    sed -n '/^\[issuing-certificate\]/,/^$/p' "$CONFIG" | sed "1d; $1" > case/extensions
    shift
    openssl x509 -req -in case/issuing.csr -CA alpha/root.pem -CAkey alpha/root.key -days 900 -extfile case/extensions -out case/issuing.pem "$@"
}

# crl OPTION...: the issuing CA's CRL anew
crl() { openssl ca -config "$CONFIG" -name issuing -gencrl "$@" | openssl crl -outform DER -out alpha/web/issuing.crl; }

# responder OPTION...: another in the place of the issuing CA's
responder() {
    openssl ocsp -port "$OTHER" -index alpha/issuing.index -CA alpha/issuing.pem -rsigner alpha/issuing.pem -rkey alpha/issuing.key "$@" > case/ocsp.log 2>&1 &
    echo $! > case/pid
    until grep -q ACCEPT case/ocsp.log; do sleep 0.05; done
    application "s,http://$STATUS/,http://127.0.0.1:$OTHER/,"
}

# person NAME ADDRESS OPTION...
person() { export MAIL=$2; newkey "$1"; request "$1" "$1"; name=$1; shift 2
    openssl ca -batch -notext -config "$CONFIG" -name issuing -extensions person -in "alpha/$name.csr" -out "alpha/$name.pem" "$@" 2>> alpha/ca.log; }

# entry NAME: as LDIF, with its certificate if there is one
entry() {
    printf 'dn: cn=%s,ou=people,o=Alpha,c=DE\nobjectClass: inetOrgPerson\ncn: %s\nsn: %s\nmail: %s@alpha.example\n' "$1" "$1" "$1" "$1"
    [ ! -f "alpha/$1.pem" ] || printf 'userCertificate;binary:: %s\n' "$(openssl x509 -in "alpha/$1.pem" -outform DER | openssl base64 -A)"
    echo
}

# A CA of nobody, with the issuing CA's name, and its directory certificate.
openssl req -x509 -new -config "$CONFIG" -extensions root-certificate -newkey rsa:2048 -nodes -keyout alpha/stranger.key -subj "/C=DE/O=Alpha/CN=Alpha Mail CA" -days 3650 -out alpha/stranger.pem 2>> alpha/ca.log
openssl x509 -req -in alpha/directory.csr -CA alpha/stranger.pem -CAkey alpha/stranger.key -extfile "$CONFIG" -extensions server -out alpha/strange-directory.pem 2>> alpha/ca.log
openssl genrsa -out alpha/short.key 1024 2>> alpha/ca.log
openssl pkey -in alpha/short.key -pubout -out alpha/short.pub
openssl ecparam -name secp224r1 -genkey -noout | openssl pkey -pubout -out alpha/curve.pub

# A directory with a person for each defect, and one that refers elsewhere; and
# another that wants a password, with a certificate of the stranger.
person right right@alpha.example
person elsewhere other@alpha.example
person expired expired@alpha.example -startdate 20240101000000Z -enddate 20240201000000Z
sed 's/digitalSignature, keyAgreement/digitalSignature/' "$CONFIG" > alpha/signer.cnf
person signer signer@alpha.example -config alpha/signer.cnf
MAIL=fake@alpha.example openssl x509 -req -in alpha/signer.csr -CA alpha/stranger.pem -CAkey alpha/stranger.key -extfile "$CONFIG" -extensions person -out alpha/fake.pem 2>> alpha/ca.log
{
    printf 'dn: o=Alpha,c=DE\nobjectClass: organization\no: Alpha\n\n'
    printf 'dn: ou=people,o=Alpha,c=DE\nobjectClass: organizationalUnit\nou: people\n\n'
    for p in right elsewhere expired signer fake bare; do entry $p; done
    printf 'dn: ou=inside,o=Alpha,c=DE\nobjectClass: referral\nobjectClass: extensibleObject\nou: inside\nref: ldap://10.0.0.1/o=Alpha,c=DE\n'
} > alpha/spare.ldif
mkdir alpha/spare alpha/strict
sed "s,alpha/db,alpha/spare," alpha/slapd.conf > alpha/spare.conf
sed "s,alpha/db,alpha/strict,; s,directory.pem,strange-directory.pem,; s,^database,disallow bind_anon\n&," alpha/slapd.conf > alpha/strict.conf
slapd -T add -q -f alpha/spare.conf -l alpha/spare.ldif
slapd -T add -q -f alpha/strict.conf -l alpha/data.ldif
slapd -d 0 -h "ldap://$SPARE" -f alpha/spare.conf &
slapd -d 0 -h "ldap://$STRICT" -f alpha/strict.conf &
until ldapsearch -x -H "ldap://$SPARE" -b "" -s base > /dev/null 2>&1; do sleep 0.1; done
until ldapsearch -x -H "ldap://$STRICT" -b "" -s base > /dev/null 2>&1 || [ $? != 255 ]; do sleep 0.1; done
mkdir good
cp alpha/web/* alpha/zone good

# Who is asked about the defect: preflight, or the bridge of which alpha is a
# member.
inspect() { bridgectl preflight -f case/application.yaml --allow 127.0.0.0/8 --resolver "$NAMES" --passwords case --output json; }
enrol() { as ada member apply -f case/application.yaml --output json; }
amendment() { as ada member edit alpha -f case/application.yaml --yes --output json; }
apply() { echo enrol > case/ask; }
amend() { echo amendment > case/ask; }

# examine COMMANDS: plants a defect and prints whether that worked, the exit code
# of who was asked, and the report
examine() {
    rm -rf case; mkdir case; cp alpha/*.* case
    cp good/zone alpha; cp good/*.c* alpha/web
    echo secret > case/secret
    echo inspect > case/ask
    set +e
    (set -e; eval "$1") > case/log 2>&1
    planted=$?
    "$(cat case/ask)" > case/report 2> case/said
    echo $planted $?
    set -e
    if [ $planted = 0 ]; then cat case/report; else cat case/log; fi
    [ ! -f case/pid ] || kill "$(cat case/pid)"
}
