#include "src/server/http/http_exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace cairn::server {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

HttpResponse Page(const HttpRequest& request) {
  if (request.path == "/throw") throw std::runtime_error("on purpose");
  if (request.path == "/long") return TextResponse(200, std::string(50'000, 'x'));
  std::string text = request.path;
  for (const auto& [name, value] : request.query) text += " " + name + "=" + value;
  return TextResponse(request.path == "/missing" ? 404 : 200, text);
}

HttpAnswer Answer(const std::string& head, bool last = false) {
  static const HttpExchange exchange(Page, 120, 1000);
  return exchange.Answer(head, last);
}

TEST(HttpExchange, AnswersAGet) {
  const HttpAnswer answer = Answer("GET /a/b?x=1&y=%20z HTTP/1.1\r\nHost: here\r\n\r\n");
  EXPECT_THAT(answer.bytes, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer.bytes, HasSubstr("\r\nContent-Length: 14\r\n"));
  EXPECT_THAT(answer.bytes, HasSubstr("\r\nContent-Type: text/plain; charset=utf-8\r\n"));
  EXPECT_THAT(answer.bytes, HasSubstr("\r\nCache-Control: no-store\r\n"));
  EXPECT_THAT(answer.bytes, EndsWith("\r\n\r\n/a/b x=1 y= z\n"));
  EXPECT_FALSE(answer.close);
  EXPECT_FALSE(answer.bad);
}

TEST(HttpExchange, AHeadHasTheLengthAndNoBody) {
  const HttpAnswer answer = Answer("HEAD /a HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer.bytes, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer.bytes, HasSubstr("\r\nContent-Length: 3\r\n"));
  EXPECT_THAT(answer.bytes, EndsWith("\r\n\r\n"));
  EXPECT_FALSE(answer.close);
}

TEST(HttpExchange, StatusOfThePage) {
  EXPECT_THAT(Answer("GET /missing HTTP/1.1\r\n\r\n").bytes,
              StartsWith("HTTP/1.1 404 Not Found\r\n"));
}

TEST(HttpExchange, ClosesWhereAskedOrWhereABodyWouldFollow) {
  const std::string closing[] = {
      "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
      "GET / HTTP/1.1\r\nconnection: Close\r\n\r\n",
      "GET / HTTP/1.0\r\n\r\n",
      "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
      "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
      "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
  };
  for (const std::string& head : closing) {
    const HttpAnswer answer = Answer(head);
    EXPECT_TRUE(answer.close) << head;
    EXPECT_THAT(answer.bytes, StartsWith("HTTP/1.1 200 OK\r\n")) << head;
    EXPECT_THAT(answer.bytes, HasSubstr("\r\nConnection: close\r\n")) << head;
  }
  EXPECT_TRUE(Answer("GET / HTTP/1.1\r\n\r\n", true).close);
}

TEST(HttpExchange, OtherMethodsAreRefusedWithoutTheirBodies) {
  for (const std::string method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"}) {
    const HttpAnswer answer =
        Answer(method + " /a HTTP/1.1\r\nContent-Length: 1000000000000\r\n\r\n");
    EXPECT_THAT(answer.bytes, StartsWith("HTTP/1.1 405 ")) << method;
    EXPECT_THAT(answer.bytes, HasSubstr("\r\nAllow: GET, HEAD\r\n")) << method;
    EXPECT_TRUE(answer.close) << method;
  }
}

TEST(HttpExchange, MalformedHeadsAreRefused) {
  const std::string malformed[] = {
      "\r\n\r\n",
      "GET /\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      "NONSENSE / HTTP/1.1\r\n\r\n",
      "GET  / HTTP/1.1 x\r\n\r\n",
      "GET /a?b?c HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\n\r\n",
      std::string("GET /\0 HTTP/1.1\r\n\r\n", 19),
      std::string("\x16\x03\x01\x02\x00\x01\n\r\n", 9),  // the beginning of TLS
  };
  for (const std::string& head : malformed) {
    const HttpAnswer answer = Answer(head);
    EXPECT_TRUE(answer.bad) << head;
    EXPECT_TRUE(answer.close) << head;
    EXPECT_THAT(answer.bytes, StartsWith("HTTP/1.1 400 Bad Request\r\n")) << head;
  }
}

// What takes the library itself down: 8 KiB of ranges need more than 4 MiB of stack.
TEST(HttpExchange, RangesAreIgnored) {
  for (const std::string name : {"Range", "range", "RANGE"}) {
    for (const std::string piece : {"1", "0-,", "1-9,"}) {
      std::string value = "bytes=";
      while (value.size() < 8000) value += piece;
      const HttpAnswer answer =
          Answer("GET /long HTTP/1.1\r\n" + name + ": " + value + "1-\r\nHost: a\r\n\r\n");
      EXPECT_THAT(answer.bytes, StartsWith("HTTP/1.1 200 OK\r\n"));
      EXPECT_LT(answer.bytes.size(), 51'000u);
    }
  }
}

TEST(HttpExchange, CompressesWithGzipAlone) {
  const std::string plain = Answer("GET /long HTTP/1.1\r\nAccept-Encoding: br\r\n\r\n").bytes;
  EXPECT_THAT(plain, Not(HasSubstr("Content-Encoding")));
  EXPECT_GT(plain.size(), 50'000u);
  const std::string gzip = Answer("GET /long HTTP/1.1\r\nAccept-Encoding: br, gzip\r\n\r\n").bytes;
  EXPECT_THAT(gzip, HasSubstr("\r\nContent-Encoding: gzip\r\n"));
  EXPECT_LT(gzip.size(), 1000u);
}

TEST(HttpExchange, APageThatFailsIsA500) {
  const HttpAnswer answer = Answer("GET /throw HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer.bytes, StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(answer.bytes, Not(HasSubstr("on purpose")));
}

TEST(HttpHead, EndsAtTheFirstEmptyLine) {
  EXPECT_EQ(0u, HttpHeadLength(""));
  EXPECT_EQ(0u, HttpHeadLength("GET / HTTP/1.1\r\nHost: a\r\n"));
  EXPECT_EQ(18u, HttpHeadLength("GET / HTTP/1.1\r\n\r\nGET /"));
  EXPECT_EQ(17u, HttpHeadLength("GET / HTTP/1.1\n\r\n\r\n"));
}

TEST(HttpHead, NamesItsTarget) {
  EXPECT_EQ("/healthz", HttpTarget("GET /healthz HTTP/1.1\r\n\r\n"));
  EXPECT_EQ("/healthz", HttpTarget("HEAD /healthz?a HTTP/1.1\r\n\r\n"));
  EXPECT_EQ("", HttpTarget("GET\r\n /healthz\r\n\r\n"));
  EXPECT_EQ("", HttpTarget(""));
}

TEST(HttpHead, AClosingAnswerSaysSo) {
  EXPECT_EQ(
      "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n"
      "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 9\r\n\r\ntoo long\n",
      ClosingAnswer(431, "too long"));
}

}  // namespace
}  // namespace cairn::server
