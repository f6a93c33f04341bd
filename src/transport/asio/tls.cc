#include "src/transport/asio/tls.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>

namespace cairn::transport {
namespace {

constexpr int kWarnDays = 30;

template <class T, void (*kFree)(T*)>
struct Freeing {
  void operator()(T* value) const { kFree(value); }
};
using ContextPointer = std::unique_ptr<SSL_CTX, Freeing<SSL_CTX, SSL_CTX_free>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, Freeing<EVP_PKEY, EVP_PKEY_free>>;
using CertificatePointer = std::unique_ptr<X509, Freeing<X509, X509_free>>;
using ExaminationPointer =
    std::unique_ptr<X509_STORE_CTX, Freeing<X509_STORE_CTX, X509_STORE_CTX_free>>;
struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using FilePointer = std::unique_ptr<std::FILE, CloseFile>;

// The newest words of OpenSSL's queue, which is empty afterwards.
std::string LastWords() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* const reason = ERR_reason_error_string(code);
  return reason == nullptr ? "it is not what it should be" : reason;
}

Status CannotUse(const std::string& what, const std::string& file, const std::string& why) {
  return InvalidArgumentError("the " + what + " '" + file + "' cannot be used: " + why);
}

// OpenSSL's own words about files that are not there are not for readers.
Status CheckReadable(const std::string& what, const std::string& file) {
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return CannotUse(what, file, std::strerror(errno));
  close(fd);
  return Status::Ok();
}

// Refuses: by default OpenSSL would ask at a terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

Result<KeyPointer> LoadKey(const std::string& file) {
  const FilePointer opened(std::fopen(file.c_str(), "re"));
  if (opened == nullptr) return CannotUse("private key", file, std::strerror(errno));
  KeyPointer key(PEM_read_PrivateKey(opened.get(), nullptr, NoPassphrase, nullptr));
  if (key != nullptr) return key;
  const bool locked = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_BAD_PASSWORD_READ ||
                      ERR_GET_REASON(ERR_peek_error()) == PEM_R_BAD_PASSWORD_READ;
  const std::string words = LastWords();
  return CannotUse("private key", file,
                   locked ? "it asks for a passphrase, which nobody could type when a node "
                            "starts; store it without one"
                          : "it holds no private key in PEM form (" + words + ")");
}

// "CN = node0, issued by CN = our authority".
std::string Describe(const X509* certificate) {
  const auto text = [](const X509_NAME* name) {
    char line[256] = "";
    BIO* const memory = BIO_new(BIO_s_mem());
    X509_NAME_print_ex(memory, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
    const int size = BIO_read(memory, line, sizeof(line) - 1);
    BIO_free(memory);
    return std::string(line, size > 0 ? static_cast<std::size_t>(size) : 0);
  };
  return text(X509_get_subject_name(certificate)) + ", issued by " +
         text(X509_get_issuer_name(certificate));
}

// Whether another node would believe the certificate of `context`, when it is dialled and when it
// dials.
Status CheckOwnCertificate(const TlsFiles& files, SSL_CTX* context) {
  X509* const own = SSL_CTX_get0_certificate(context);
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context, &chain);
  for (const int purpose : {X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT}) {
    const ExaminationPointer examination(X509_STORE_CTX_new());
    if (examination == nullptr ||
        X509_STORE_CTX_init(examination.get(), SSL_CTX_get_cert_store(context), own, chain) != 1 ||
        X509_STORE_CTX_set_purpose(examination.get(), purpose) != 1) {
      return CannotUse("certificate", files.certificate, LastWords());
    }
    if (X509_verify_cert(examination.get()) == 1) continue;
    const int error = X509_STORE_CTX_get_error(examination.get());
    ERR_clear_error();
    std::string why = X509_verify_cert_error_string(error);
    if (error == X509_V_ERR_INVALID_PURPOSE) {
      why +=
          "; a node both accepts and dials, so its extended key usage, if it has one, must name "
          "serverAuth and clientAuth";
    }
    return CannotUse("certificate", files.certificate,
                     "other nodes with the authority '" + files.ca + "' would refuse it: " + why +
                         " (" + Describe(own) + ")");
  }
  return Status::Ok();
}

bool Carries(X509* certificate, const std::string& name) {
  return X509_check_host(certificate, name.data(), name.size(), 0, nullptr) == 1 ||
         X509_check_ip_asc(certificate, name.c_str(), 0) == 1;
}

}  // namespace

Status PrepareTlsContext(const TlsFiles& files, ssl_ctx_st* context) {
  CAIRN_RETURN_IF_ERROR(CheckReadable("authority", files.ca));
  CAIRN_RETURN_IF_ERROR(CheckReadable("certificate", files.certificate));
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  if (SSL_CTX_load_verify_file(context, files.ca.c_str()) != 1) {
    return CannotUse("authority", files.ca,
                     "it holds no certificate in PEM form (" + LastWords() + ")");
  }
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1) {
    return CannotUse("certificate", files.certificate,
                     "it holds no certificate in PEM form (" + LastWords() + ")");
  }
  CAIRN_ASSIGN_OR_RETURN(const KeyPointer key, LoadKey(files.key));
  if (X509_check_private_key(SSL_CTX_get0_certificate(context), key.get()) != 1) {
    ERR_clear_error();
    return CannotUse("private key", files.key,
                     "it does not belong to the certificate '" + files.certificate + "'");
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return CannotUse("private key", files.key, LastWords());
  }
  return CheckOwnCertificate(files, context);
}

Status CheckTls(const TlsFiles& files) {
  const ContextPointer context(SSL_CTX_new(TLS_method()));
  if (context == nullptr) return ResourceExhaustedError("no context for TLS: " + LastWords());
  return PrepareTlsContext(files, context.get());
}

std::vector<std::string> TlsWarnings(const TlsFiles& files) {
  std::vector<std::string> warnings;
  struct stat status {};
  if (stat(files.key.c_str(), &status) == 0 && (status.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    warnings.push_back("the private key '" + files.key +
                       "' can be read by every user of this machine; chmod o= it");
  }
  const FilePointer opened(std::fopen(files.certificate.c_str(), "re"));
  if (opened == nullptr) return warnings;
  const CertificatePointer own(PEM_read_X509(opened.get(), nullptr, NoPassphrase, nullptr));
  ERR_clear_error();
  int days = 0;
  int seconds = 0;
  if (own == nullptr ||
      ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(own.get())) != 1) {
    return warnings;
  }
  if (days < kWarnDays) {
    warnings.push_back("the certificate '" + files.certificate + "' ends in " +
                       std::to_string(days) +
                       " days; the node reads a new one when it is started again");
  }
  return warnings;
}

bool MayBePeer(bool acceptable, x509_store_ctx_st* examined, const std::vector<std::string>& names,
               std::string* why) {
  X509* const certificate = X509_STORE_CTX_get_current_cert(examined);
  if (certificate == nullptr) return acceptable;
  if (!acceptable) {
    *why = "its certificate is refused: " +
           std::string(X509_verify_cert_error_string(X509_STORE_CTX_get_error(examined))) + " (" +
           Describe(X509_STORE_CTX_get0_cert(examined)) + ")";
    return false;
  }
  if (X509_STORE_CTX_get_error_depth(examined) != 0 || names.empty()) return true;
  for (const std::string& name : names) {
    if (Carries(certificate, name)) return true;
  }
  *why = "its certificate carries none of the names that a peer may have (" +
         Describe(certificate) + ")";
  X509_STORE_CTX_set_error(examined, X509_V_ERR_HOSTNAME_MISMATCH);
  return false;
}

std::string ExplainTlsError(unsigned long code) {
  switch (ERR_GET_REASON(code)) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return "it shows no certificate";
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_BAD_PACKET_LENGTH:
    case SSL_R_RECORD_TOO_SMALL:
      return "it does not speak TLS";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return "it does not know the authority of this node's certificate";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return "it wants to see a certificate";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
      return "it refuses this node's certificate";
    default:
      return "";
  }
}

}  // namespace cairn::transport
