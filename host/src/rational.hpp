/// \file
/// Exact fractions, for the solvers that must not round.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace cumarl {

using Integer = boost::multiprecision::cpp_int;
using Rational = boost::multiprecision::cpp_rational;

/// The number that a text stands for, exactly: "3", "-1.25e-3", "5/16". Nothing for any other text,
/// for a denominator of 0, an exponent beyond 1,400 or more than 1,000 characters.
std::optional<Rational> parse_rational(std::string_view text);

/// The value of a finite double, exactly.
Rational exact_rational(double value);

/// The double nearest to a fraction, ties to even.
double to_double(const Rational& value);

/// "5/16", or "3" for whole numbers.
std::string to_text(const Rational& value);

}  // namespace cumarl
