#include "vectors.h"

#include <math.h>
#include <string.h>

#include "targets.h"

#define LOAD(address) (*(const UnalignedLanes *)(address))
#define STORE(address) (*(UnalignedLanes *)(address))

INLINE Lanes choose(Bits mask, Lanes yes, Lanes no)
{
    return (Lanes)((mask & (Bits)yes) | (~mask & (Bits)no));
}

/* e^x within 2 ulp, by Cephes' polynomial over [-ln 2 / 2, ln 2 / 2]; 0 below -87, NaN of NaN. */
INLINE Lanes exp_lanes(Lanes x)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it leaves the nearest integer below */
    const Lanes in_range = choose((Bits)(x < -87.0f), (Lanes){0} - 87.0f, x);
    const Lanes clamped = choose((Bits)(in_range > 88.0f), (Lanes){0} + 88.0f, in_range);
    const Lanes shifted = clamped * 1.44269504088896341f + shift;
    const Lanes n = shifted - shift;
    const Lanes f = clamped - n * 0.693359375f + n * 2.12194440e-4f;
    Lanes y = f * 1.9875691500e-4f + 1.3981999507e-3f;
    y = y * f + 8.3334519073e-3f;
    y = y * f + 4.1665795894e-2f;
    y = y * f + 1.6666665459e-1f;
    y = y * f + 5.0000001201e-1f;
    y = y * f * f + f + 1.0f;
    const Lanes power = (Lanes)(((Bits)shifted - (Bits)((Lanes){0} + shift) + 127) << 23);
    return choose((Bits)(x < -87.0f), (Lanes){0}, y * power);
}

INLINE float sum_lanes(Lanes lanes)
{
    float total = 0.0f;
    for (int i = 0; i < LANES; i++)
        total += lanes[i];
    return total;
}

CLONES
void rms_norm(float *target, const float *source, const float *weight, int64_t count, float epsilon)
{
    Lanes first = {0}, second = {0};
    for (int64_t i = 0; i < count; i += 2 * LANES) {
        const Lanes a = LOAD(source + i), b = LOAD(source + i + LANES);
        first += a * a;
        second += b * b;
    }
    const float factor = 1.0f / sqrtf(sum_lanes(first + second) / (float)count + epsilon);
    for (int64_t i = 0; i < count; i += LANES)
        STORE(target + i) = LOAD(source + i) * factor * LOAD(weight + i);
}

CLONES
void add_row(float *target, const float *source, int64_t count)
{
    for (int64_t i = 0; i < count; i += LANES)
        STORE(target + i) = LOAD(target + i) + LOAD(source + i);
}

CLONES
void scale_and_add(float *target, float scale, const float *source, int64_t count)
{
    for (int64_t i = 0; i < count; i += LANES)
        STORE(target + i) = LOAD(target + i) * scale + LOAD(source + i);
}

CLONES
void scale_row(float *target, float scale, int64_t count)
{
    for (int64_t i = 0; i < count; i += LANES)
        STORE(target + i) = LOAD(target + i) * scale;
}

CLONES
void silu_times(float *target, const float *source, int64_t panels)
{
    for (int64_t p = 0; p < panels; p++, source += 32, target += 16)
        for (int64_t i = 0; i < 16; i += LANES) {
            const Lanes x = LOAD(source + i);
            STORE(target + i) = x / (exp_lanes(-x) + 1.0f) * LOAD(source + 16 + i);
        }
}

INLINE float largest_lane(Lanes lanes)
{
    float result = lanes[0];
    for (int i = 1; i < LANES; i++)
        result = lanes[i] > result ? lanes[i] : result;
    return result;
}

CLONES
float largest(const float *row, int64_t count)
{
    Lanes top = LOAD(row);
    for (int64_t i = LANES; i < count; i += LANES) {
        const Lanes x = LOAD(row + i);
        top = choose((Bits)(x > top), x, top);
    }
    return largest_lane(top);
}

CLONES
float largest_finite(const float *row, int64_t count)
{
    Lanes top = LOAD(row), zero = top - top;
    for (int64_t i = LANES; i < count; i += LANES) {
        const Lanes x = LOAD(row + i);
        top = choose((Bits)(x > top), x, top);
        zero += x - x;
    }
    return largest_lane(top) + sum_lanes(zero);
}

CLONES
float exp_row(float *row, float top, float scale, int64_t count)
{
    Lanes total = {0};
    for (int64_t i = 0; i < count; i += LANES) {
        const Lanes x = exp_lanes((LOAD(row + i) - top) * scale);
        STORE(row + i) = x;
        total += x;
    }
    return sum_lanes(total);
}

CLONES
void rotate(float *head, const float *cosines, const float *sines, int64_t half)
{
    for (int64_t i = 0; i < half; i += LANES) {
        const Lanes first = LOAD(head + i), second = LOAD(head + half + i);
        const Lanes c = LOAD(cosines + i), s = LOAD(sines + i);
        STORE(head + i) = first * c - second * s;
        STORE(head + half + i) = second * c + first * s;
    }
}
