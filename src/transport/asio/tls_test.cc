// Whether files of TLS can be used, and what is said about those that can't.
#include "src/transport/asio/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "src/transport/asio/certificates_test_util.h"

namespace cairn::transport {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TlsTest : public ::testing::Test {
 protected:
  static std::string Refused(const TlsFiles& files) {
    const Status status = CheckTls(files);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    return status.message();
  }
  static void Overwrite(const std::string& file, const std::string& text) {
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    std::ofstream(file) << text;
  }

  const TestFolder folder_;
  const std::string directory_ = folder_.path();
};

TEST_F(TlsTest, FilesThatBelongTogetherAreAccepted) {
  const TlsFiles files = TestAuthority(directory_, "authority").Issue("one");
  const Status status = CheckTls(files);
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_THAT(TlsWarnings(files), IsEmpty());
}

TEST_F(TlsTest, MissingFilesAreNamed) {
  const TlsFiles good = TestAuthority(directory_, "authority").Issue("one");
  const std::string missing = directory_ + "/missing";
  TlsFiles files = good;
  files.ca = missing;
  EXPECT_THAT(Refused(files),
              AllOf(HasSubstr("the authority '" + missing), HasSubstr("No such file")));
  files = good;
  files.certificate = missing;
  EXPECT_THAT(Refused(files),
              AllOf(HasSubstr("the certificate '" + missing), HasSubstr("No such file")));
  files = good;
  files.key = missing;
  EXPECT_THAT(Refused(files),
              AllOf(HasSubstr("the private key '" + missing), HasSubstr("No such file")));
}

TEST_F(TlsTest, FilesThatHoldSomethingElseAreNamed) {
  const TlsFiles files = TestAuthority(directory_, "authority").Issue("one");
  Overwrite(files.key, "nothing\n");
  EXPECT_THAT(Refused(files), HasSubstr("one.key' cannot be used: it holds no private key"));
  Overwrite(files.certificate, "nothing\n");
  EXPECT_THAT(Refused(files), HasSubstr("one.pem' cannot be used: it holds no certificate"));
  Overwrite(files.ca, "nothing\n");
  EXPECT_THAT(Refused(files), HasSubstr("ca.pem' cannot be used: it holds no certificate"));
}

TEST_F(TlsTest, TheKeyOfAnotherCertificateIsRefused) {
  TestAuthority authority(directory_, "authority");
  TlsFiles files = authority.Issue("one");
  files.key = authority.Issue("two").key;
  EXPECT_THAT(Refused(files), HasSubstr("two.key' cannot be used: it does not belong to the "
                                        "certificate"));
}

TEST_F(TlsTest, AKeyWithAPassphraseIsRefusedAndNobodyIsAsked) {
  const TlsFiles files = TestAuthority(directory_, "authority").Issue("one");
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  Overwrite(files.key, "");
  std::FILE* const file = std::fopen(files.key.c_str(), "w");
  unsigned char word[] = "word";
  EXPECT_EQ(PEM_write_PKCS8PrivateKey(file, key, EVP_aes_128_cbc(),
                                      reinterpret_cast<const char*>(word), 4, nullptr, nullptr),
            1);
  std::fclose(file);
  EVP_PKEY_free(key);
  EXPECT_THAT(Refused(files), HasSubstr("passphrase"));
}

TEST_F(TlsTest, ACertificateThatPeersWouldRefuseIsRefusedAtOnce) {
  TestAuthority authority(directory_, "authority");
  TlsFiles files = authority.Issue("one");
  files.ca = TestAuthority(directory_, "other").Issue("two").ca;
  EXPECT_THAT(Refused(files),
              AllOf(HasSubstr("other nodes with the authority"), HasSubstr("other.ca.pem"),
                    HasSubstr("CN = one, issued by CN = authority")));
  EXPECT_THAT(Refused(authority.Issue("late", -3600)), HasSubstr("certificate has expired"));
}

TEST_F(TlsTest, WarningsNameOpenKeysAndCertificatesThatEnd) {
  const TlsFiles files = TestAuthority(directory_, "authority").Issue("one", 3 * 86'400 + 60);
  std::filesystem::permissions(files.key, std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  EXPECT_TRUE(CheckTls(files).ok());
  EXPECT_THAT(TlsWarnings(files),
              ElementsAre(AllOf(HasSubstr("one.key'"), HasSubstr("by every user")),
                          AllOf(HasSubstr("one.pem'"), HasSubstr("ends in 3 days"))));
}

}  // namespace
}  // namespace cairn::transport
