// Mutual TLS between nodes: what a node shows, whom it believes, and why somebody was refused.
//
// Both ends of a connection show a certificate that the authority of the cluster has signed; with
// `names`, one that carries one of these names. Host names are not checked: a certificate says
// "this is a node of the cluster", wherever it runs.
//
// Thread safety: plain values; the functions may run on any thread.
#ifndef CAIRN_SRC_TRANSPORT_ASIO_TLS_H_
#define CAIRN_SRC_TRANSPORT_ASIO_TLS_H_

#include <string>
#include <vector>

#include "cairn/status.h"

// OpenSSL's, without its headers.
struct ssl_ctx_st;
struct x509_store_ctx_st;

namespace cairn::transport {

// The files of mutual TLS, in PEM form. Both ends show a certificate that `ca` has signed.
struct TlsFiles {
  std::string ca;           // one or several authorities
  std::string certificate;  // this node's, with what stands between it and `ca`
  std::string key;          // its private key, without a passphrase
  // Peers must carry one of these: a DNS name or address of their certificate, or its common name
  // if it has no DNS name. Empty: every certificate of the authority is a peer's.
  std::vector<std::string> names;
};

// Whether a node can serve with these files: they can be read, belong together, and other nodes
// with the same authority would believe them now. kInvalidArgument that names the file and what is
// wrong with it.
Status CheckTls(const TlsFiles& files);

// What works but is probably not meant, one sentence each: a key that others can read, a
// certificate that ends soon. Of files that CheckTls has accepted.
std::vector<std::string> TlsWarnings(const TlsFiles& files);

// CheckTls, and makes `context` use the files: TLS 1.2 or later, both ends must show a certificate.
Status PrepareTlsContext(const TlsFiles& files, ssl_ctx_st* context);

// For the verification callback of a connection: whether the certificate under examination may
// stand, given that OpenSSL found `acceptable`. If not, `why` gets words for the log that name the
// certificate.
bool MayBePeer(bool acceptable, x509_store_ctx_st* examined, const std::vector<std::string>& names,
               std::string* why);

// What an error code of OpenSSL's (as in std::error_code::value) means between nodes; empty if
// there is nothing to add to its own words.
std::string ExplainTlsError(unsigned long code);

}  // namespace cairn::transport

#endif  // CAIRN_SRC_TRANSPORT_ASIO_TLS_H_
