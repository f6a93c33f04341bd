// Certificates made on the spot, for tests of TLS: an authority and what it signs.
//
// Thread safety: none.
#ifndef CAIRN_SRC_TRANSPORT_ASIO_CERTIFICATES_TEST_UTIL_H_
#define CAIRN_SRC_TRANSPORT_ASIO_CERTIFICATES_TEST_UTIL_H_

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "src/base/check.h"
#include "src/transport/asio/tls.h"

namespace cairn::transport {

// A folder that goes when the test ends.
class TestFolder {
 public:
  TestFolder() {
    std::string name = std::filesystem::temp_directory_path() / "cairn-tls-XXXXXX";
    CAIRN_CHECK(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class TestAuthority {
 public:
  static constexpr long kValid = 90 * 86'400;

  // Writes its files to `directory`, which must exist.
  TestAuthority(std::string directory, const std::string& name)
      : directory_(std::move(directory)), name_(name), key_(EVP_EC_gen("P-256")) {
    certificate_ = Sign(name, key_, name, key_);
    WriteCertificate(Path(name + ".ca.pem"), certificate_.get());
  }
  ~TestAuthority() { EVP_PKEY_free(key_); }
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  // A certificate for `subject` that ends in so many seconds, and its key, which only the owner can
  // read.
  TlsFiles Issue(const std::string& subject, long valid_s = kValid) {
    EVP_PKEY* const key = EVP_EC_gen("P-256");
    const auto certificate = Sign(subject, key, name_, key_, valid_s);
    const TlsFiles files{Path(name_ + ".ca.pem"),
                         Path(name_ + "." + subject + ".pem"),
                         Path(name_ + "." + subject + ".key"),
                         {}};
    WriteCertificate(files.certificate, certificate.get());
    std::FILE* const file = std::fopen(files.key.c_str(), "w");
    CAIRN_CHECK(file != nullptr);
    CAIRN_CHECK(PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
    std::fclose(file);
    std::filesystem::permissions(files.key, std::filesystem::perms::owner_read);
    EVP_PKEY_free(key);
    return files;
  }

 private:
  struct Free {
    void operator()(X509* certificate) const { X509_free(certificate); }
  };
  using Certificate = std::unique_ptr<X509, Free>;

  [[nodiscard]] std::string Path(const std::string& name) const { return directory_ + "/" + name; }

  static Certificate Sign(const std::string& subject, EVP_PKEY* key, const std::string& issuer,
                          EVP_PKEY* issuer_key, long valid_s = kValid) {
    Certificate certificate(X509_new());
    X509_set_version(certificate.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), subject == issuer ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -7200);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), valid_s);
    X509_set_pubkey(certificate.get(), key);
    SetName(X509_get_subject_name(certificate.get()), subject);
    SetName(X509_get_issuer_name(certificate.get()), issuer);
    if (subject == issuer) {
      X509_EXTENSION* const is_authority =
          X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE");
      X509_add_ext(certificate.get(), is_authority, -1);
      X509_EXTENSION_free(is_authority);
    }
    CAIRN_CHECK(X509_sign(certificate.get(), issuer_key, EVP_sha256()) != 0);
    return certificate;
  }
  static void SetName(X509_NAME* name, const std::string& common_name) {
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                               0);
  }
  static void WriteCertificate(const std::string& path, X509* certificate) {
    std::FILE* const file = std::fopen(path.c_str(), "w");
    CAIRN_CHECK(file != nullptr);
    CAIRN_CHECK(PEM_write_X509(file, certificate) == 1);
    std::fclose(file);
  }

  const std::string directory_;
  const std::string name_;
  EVP_PKEY* const key_;
  Certificate certificate_;
};

}  // namespace cairn::transport

#endif  // CAIRN_SRC_TRANSPORT_ASIO_CERTIFICATES_TEST_UTIL_H_
