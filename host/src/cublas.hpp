/// \file
/// Products of matrices by cuBLAS, which is loaded when it is first asked for: a program that was
/// built with CUDA starts, and does everything else, on machines without it.
#pragma once

#include <cstddef>

struct CUstream_st;

namespace cumarl {

/// A row-major matrix, of several that lie `stride` entries apart.
struct CublasMatrix {
  const float* data;
  int pitch;
  size_t stride;
  bool transposed = false;  ///< its rows count as columns
};

/// A handle with its working memory on one device. Calls are asynchronous and can be captured into a
/// graph.
class Cublas {
 public:
  /// The one of a device, made at the first call. Throws Error where the library is missing,
  /// CudaError for what it reports.
  static Cublas& of(int device);

  Cublas(const Cublas&) = delete;
  Cublas& operator=(const Cublas&) = delete;

  /// out_z = a_z b_z, or out_z + a_z b_z with `adds`, for z < count; out_z [m][n], a [m][k], b [k][n].
  /// `tf32`: factors are rounded for tensor cores, else all is float32.
  void multiply(CUstream_st* stream, bool tf32, const CublasMatrix& a, const CublasMatrix& b, int m,
                int n, int k, float* out, int out_pitch, size_t out_stride, bool adds, int count);

 private:
  explicit Cublas(int device);
  void* handle_ = nullptr;
  void* workspace_ = nullptr;
};

}  // namespace cumarl
