#include "host/src/rational.hpp"

#include <cmath>
#include <cstdint>

namespace cumarl {

namespace {

constexpr std::size_t kMostCharacters = 1000;
/// No number of so many characters that a double can hold needs a larger one.
constexpr int kLargestExponent = 1400;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Takes digits off the front of `text` and appends them to `digits`; how many.
std::size_t take_digits(std::string_view& text, std::string& digits) {
  std::size_t count = 0;
  while (count < text.size() && is_digit(text[count])) ++count;
  digits += text.substr(0, count);
  text.remove_prefix(count);
  return count;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

Integer whole(const std::string& digits) {
  const std::size_t first = digits.find_first_not_of('0');  // a leading 0 would mean octal
  return first == std::string::npos ? Integer(0) : Integer(digits.substr(first));
}

}  // namespace

std::optional<Rational> parse_rational(std::string_view text) {
  if (text.size() > kMostCharacters) return std::nullopt;
  const bool negative = !text.empty() && text.front() == '-';
  take(text, "+-");
  std::string digits;
  std::size_t figures = take_digits(text, digits);
  Integer denominator = 1;
  if (figures > 0 && take(text, "/")) {
    std::string below;
    if (take_digits(text, below) == 0 || !text.empty()) return std::nullopt;
    denominator = whole(below);
    if (denominator == 0) return std::nullopt;
  } else {
    std::size_t places = 0;
    if (take(text, ".")) places = take_digits(text, digits);
    figures += places;
    if (figures == 0) return std::nullopt;
    int exponent = 0;
    if (take(text, "eE")) {
      const bool small = !text.empty() && text.front() == '-';
      take(text, "+-");
      std::string power;
      if (take_digits(text, power) == 0) return std::nullopt;
      const std::size_t first = power.find_first_not_of('0');
      power = first == std::string::npos ? "0" : power.substr(first);
      if (whole(digits) == 0) power = "0";
      if (power.size() > 4 || std::stoi(power) > kLargestExponent) return std::nullopt;
      exponent = small ? -std::stoi(power) : std::stoi(power);
    }
    if (!text.empty()) return std::nullopt;
    exponent -= static_cast<int>(places);
    const Integer power =
        boost::multiprecision::pow(Integer(10), static_cast<unsigned>(std::abs(exponent)));
    if (exponent < 0) {
      denominator = power;
    } else {
      const Integer value = whole(digits) * power;
      return Rational(negative ? Integer(-value) : value);
    }
  }
  const Integer value = whole(digits);
  return Rational(negative ? Integer(-value) : value, denominator);
}

Rational exact_rational(double value) {
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);
  const auto mantissa = static_cast<int64_t>(std::ldexp(fraction, 53));
  exponent -= 53;
  const Integer power = Integer(1) << static_cast<unsigned>(std::abs(exponent));
  return exponent < 0 ? Rational(Integer(mantissa), power) : Rational(Integer(mantissa) * power);
}

double to_double(const Rational& value) {
  const Integer numerator = boost::multiprecision::numerator(value);
  const Integer denominator = boost::multiprecision::denominator(value);
  if (numerator == 0) return 0.0;
  Integer top = numerator < 0 ? Integer(-numerator) : numerator;
  // A quotient of 64 or 65 bits, its lowest one set where something is left over.
  const int shift = 64 - static_cast<int>(msb(top)) + static_cast<int>(msb(denominator));
  Integer bottom = denominator;
  if (shift > 0) {
    top <<= static_cast<unsigned>(shift);
  } else {
    bottom <<= static_cast<unsigned>(-shift);
  }
  Integer quotient = top / bottom;
  const bool remains = quotient * bottom != top;
  const unsigned extra = static_cast<unsigned>(msb(quotient)) - 54;  // 55 bits stay
  const bool lost = remains || (quotient & ((Integer(1) << extra) - 1)) != 0;
  auto bits = static_cast<uint64_t>(quotient >> extra);
  bits |= lost ? 1u : 0u;
  int exponent = static_cast<int>(extra) - shift;
  const int below = -1074 - exponent;  // bits that no double has room for
  if (below > 60) return 0.0;
  if (below > 1) {
    const uint64_t half = uint64_t{1} << (below - 1);
    const uint64_t rest = bits & (2 * half - 1);
    bits >>= below;
    bits += rest > half || (rest == half && (bits & 1u) != 0) ? 1u : 0u;
    exponent = -1074;
  }
  const double size = std::ldexp(static_cast<double>(bits), exponent);
  return numerator < 0 ? -size : size;
}

std::string to_text(const Rational& value) { return value.str(); }

}  // namespace cumarl
