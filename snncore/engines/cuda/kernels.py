"""The scan of a layer over time and its reverse, as Triton kernels: one program walks all time steps.

Forward, the operations and their order are those of `snncore.neurons.step`:

    threshold[t] = v_threshold + beta_adapt a[t]
    v[t] = d v[t-1] + g (I[t] + sum_k W_k z[t - delay_k]) - threshold[t-1] z[t-1]      (and the other resets)
    v[t] = max(0, v[t])                                                                (if non-negative)
    z[t] = H(v[t] - threshold[t]), unless refractory

Backward, with D x for dL/dx, h the surrogate, s = 1 / threshold[t] if it is `scaled` and 1 otherwise, going down in t:

    D z[t] = given[t] + sum_k W_k^T D I[t + delay_k] + (1 - r) D a[t+1] - threshold[t] D v[t+1]
    D v[t] = d D v[t+1] + s h D z[t]      (if non-negative: 0 where v[t] is)
    D threshold[t] = - z[t] D v[t+1] - (s^2 v[t] or 1) h D z[t]
    D a[t] = r D a[t+1] + beta_adapt D threshold[t]
    D I[t] = g D v[t]

Arrays are `[T, B, N]`, contiguous. The spikes `z` are `[lead + T, B, N]`: before the first step of the call stand those
of the `lead` steps before it. A call may cover a part of the presentation only; the state then goes through
`v_state`, `a_state`, `wait_state` and `dv_state`, `da_state`, each `[B, N]`.

A GPU may contract a product and a sum to one rounding, and potentials then differ from the reference's in the last bit
and spikes with them. The forward kernels are to be launched with `enable_fp_fusion=False`. The recurrent product and
the one that comes before the scan sum in an order of their own, so that potentials agree bit by bit only where these
sums are exact.
"""

from __future__ import annotations

import triton  # type: ignore[import-untyped, import-not-found, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, import-not-found, unused-ignore]

INTERPRETED = bool(triton.knobs.runtime.interpret)
"""Whether the kernels below run in Triton's interpreter, and so on tensors in main memory."""


@triton.jit  # type: ignore[untyped-decorator]
def _threshold(resting: tl.tensor, beta: tl.tensor, a: tl.tensor, ADAPTIVE: tl.constexpr) -> tl.tensor:
    if ADAPTIVE:
        return resting + beta * a
    else:
        return resting


@triton.jit  # type: ignore[untyped-decorator]
def _integrate(
    v: tl.tensor,
    z: tl.tensor,
    threshold: tl.tensor,
    incoming: tl.tensor,
    decay: tl.tensor,
    RESET: tl.constexpr,
    SAME_STEP: tl.constexpr,
    V_RESET: tl.constexpr,
    NON_NEGATIVE: tl.constexpr,
) -> tl.tensor:
    """The potential of this step. `v`, `z` and `threshold` are of the step before."""
    if RESET == "subtract":
        drop = threshold * z
        if SAME_STEP:
            v = decay * (v - drop) + incoming
        else:
            v = decay * v + incoming - drop
    elif RESET == "value":
        rest = v * (1 - z)
        level = z * V_RESET
        if SAME_STEP:
            v = decay * (rest + level) + incoming
        else:
            v = decay * rest + level + incoming
    else:
        v = decay * v + incoming
    if NON_NEGATIVE:
        v = tl.maximum(v, 0.0)
    return v


@triton.jit  # type: ignore[untyped-decorator]
def _fire(
    v: tl.tensor, threshold: tl.tensor, wait: tl.tensor, INCLUSIVE: tl.constexpr, REFRACTORY: tl.constexpr
) -> tl.tensor:
    if INCLUSIVE:
        fires = v >= threshold
    else:
        fires = v > threshold
    if REFRACTORY:
        fires = fires & (wait == 0)
    return fires.to(v.dtype)


@triton.jit  # type: ignore[untyped-decorator]
def _multi_gaussian(x: tl.tensor, LOBE_HEIGHT: tl.constexpr, LOBE_WIDTH: tl.constexpr) -> tl.tensor:
    right = (x - 1) / LOBE_WIDTH
    left = (x + 1) / LOBE_WIDTH
    lobes = tl.exp(right * right * -0.5) + tl.exp(left * left * -0.5)
    return tl.exp(x * x * -0.5) * (1 + LOBE_HEIGHT) - lobes * (LOBE_HEIGHT / LOBE_WIDTH)


@triton.jit  # type: ignore[untyped-decorator]
def _pseudo_derivative(
    v: tl.tensor,
    threshold: tl.tensor,
    SURROGATE: tl.constexpr,
    DAMPENING: tl.constexpr,
    WIDTH: tl.constexpr,
    LOBE_HEIGHT: tl.constexpr,
    LOBE_WIDTH: tl.constexpr,
) -> tl.tensor:
    """h(x) of x = (v - threshold) / threshold, as `snncore.surrogates.pseudo_derivative`."""
    x = (v - threshold) / threshold / WIDTH
    if SURROGATE == "triangle":
        shape = tl.maximum(1 - tl.abs(x), 0.0)
    elif SURROGATE == "fast_sigmoid":
        base = 1 + tl.abs(x)
        shape = 1 / (base * base)
    elif SURROGATE == "arctan":
        shape = 1 / (1 + x * x)
    elif SURROGATE == "gaussian":
        shape = tl.exp(x * x * -0.5)
    elif SURROGATE == "boxcar":
        shape = (tl.abs(x) <= 1).to(v.dtype)
    elif SURROGATE == "sigmoid":
        tail = tl.exp(-tl.abs(x))
        base = 1 + tail
        shape = tail * 4 / (base * base)
    elif SURROGATE == "exponential":
        shape = tl.exp(-tl.abs(x))
    elif SURROGATE == "multi_gaussian":
        hill = _multi_gaussian(x, LOBE_HEIGHT, LOBE_WIDTH)
        shape = hill / _multi_gaussian(x * 0, LOBE_HEIGHT, LOBE_WIDTH)
    else:
        # 'constant', and 'zero' with a height of 0
        shape = x * 0 + 1
    return shape * DAMPENING


@triton.jit  # type: ignore[untyped-decorator]
def _step_back(
    dv: tl.tensor,
    da: tl.tensor,
    dz: tl.tensor,
    h: tl.tensor,
    v: tl.tensor,
    z: tl.tensor,
    a: tl.tensor,
    threshold: tl.tensor,
    keep: tl.tensor,
    decay: tl.tensor,
    decay_adapt: tl.tensor,
    beta: tl.tensor,
    RESET: tl.constexpr,
    SAME_STEP: tl.constexpr,
    DETACHED: tl.constexpr,
    V_RESET: tl.constexpr,
    NON_NEGATIVE: tl.constexpr,
    ADAPTIVE: tl.constexpr,
    SCALED: tl.constexpr,
) -> tl.tensor:
    """dv and da of step t + 1 in, those of step t out, with dL/dthreshold[t] and what leaked from step t to t + 1.

    Where potentials are cut off at zero, dv is for the potential before that.
    Where `keep` is 0 instead of 1, nothing passes from step t + 1 to the state of step t. The threshold of step t has a
    part in the reset of step t + 1 all the same, and its gradient counts for the parameters.
    """
    leaked = decay * dv
    if SAME_STEP:
        reset = leaked
    else:
        reset = dv

    leaking = v
    stays = leaked
    passed = dz * 0
    raised = dz * 0
    if RESET == "subtract":
        if SAME_STEP:
            leaking = v - threshold * z
        if not DETACHED:
            passed = -threshold * reset
            raised = -z * reset
    elif RESET == "value":
        leaking = v * (1 - z)
        stays = leaked * (1 - z)
        if SAME_STEP:
            leaking = leaking + z * V_RESET
        if not DETACHED:
            passed = reset * V_RESET - v * leaked
    if ADAPTIVE:
        passed = passed + (1 - decay_adapt) * da

    surge = (dz + passed * keep) * h
    if SCALED:
        surge = surge / threshold
        crossing = surge * v / threshold
    else:
        crossing = surge
    d_threshold = raised - crossing
    if ADAPTIVE:
        da = decay_adapt * da * keep + beta * (raised * keep - crossing)
    dv = stays * keep + surge
    if NON_NEGATIVE:
        dv = tl.where(v > 0, dv, 0.0)
    return dv, da, d_threshold, leaking


@triton.jit  # type: ignore[untyped-decorator]
def _add_product(
    total: tl.tensor,
    rows: tl.tensor,
    matrix: tl.tensor,
    b: tl.tensor,
    n: tl.tensor,
    batch: tl.tensor,
    n_neurons: tl.tensor,
    BLOCK_PRE: tl.constexpr,
) -> tl.tensor:
    """`total` [samples b, neurons n] + `rows` [batch, n_neurons] x `matrix` [n_neurons, n_neurons]."""
    for first in range(0, n_neurons, BLOCK_PRE):
        m = first + tl.arange(0, BLOCK_PRE)
        left = tl.load(
            rows + b[:, None] * n_neurons + m[None, :],
            mask=(b[:, None] < batch) & (m[None, :] < n_neurons),
            other=0.0,
        )
        right = tl.load(
            matrix + m[:, None] * n_neurons + n[None, :],
            mask=(m[:, None] < n_neurons) & (n[None, :] < n_neurons),
            other=0.0,
        )
        # "ieee": in the ten bits of TF32 a weight would be another weight, and spikes other spikes
        total += tl.dot(left, right, input_precision="ieee", out_dtype=total.dtype)
    return total


@triton.jit  # type: ignore[untyped-decorator]
def forward_alone(
    current: tl.tensor,
    z: tl.tensor,
    v_tape: tl.tensor,
    a_tape: tl.tensor,
    closed: tl.tensor,
    v_state: tl.tensor,
    a_state: tl.tensor,
    wait_state: tl.tensor,
    decay_mem: tl.tensor,
    input_scale: tl.tensor,
    v_threshold: tl.tensor,
    decay_adapt: tl.tensor,
    beta_adapt: tl.tensor,
    n_refractory: tl.tensor,
    n_steps: tl.tensor,
    size: tl.tensor,
    n_neurons: tl.tensor,
    lead: tl.tensor,
    RESET: tl.constexpr,
    SAME_STEP: tl.constexpr,
    V_RESET: tl.constexpr,
    NON_NEGATIVE: tl.constexpr,
    ADAPTIVE: tl.constexpr,
    REFRACTORY: tl.constexpr,
    INCLUSIVE: tl.constexpr,
    KEEP_V: tl.constexpr,
    KEEP_SLOW: tl.constexpr,
    REPLAY: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Neurons without recurrent synapses: a program for each `BLOCK` of all `size = B N`, its state in registers.

    `v_tape` is written if KEEP_V, `a_tape` and `closed` (whether refractory) if KEEP_SLOW. With REPLAY the spikes are
    read instead of written.
    """
    e = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = e < size
    n = e % n_neurons
    decay = tl.load(decay_mem + n)
    scale = tl.load(input_scale + n)
    resting = tl.load(v_threshold + n)
    fading = tl.load(decay_adapt + n)
    beta = tl.load(beta_adapt + n)
    pause = tl.load(n_refractory + n)
    v = tl.load(v_state + e, mask=inside, other=0.0)
    a = tl.load(a_state + e, mask=inside, other=0.0)
    wait = tl.load(wait_state + e, mask=inside, other=0)
    own_z = z + tl.cast(lead, tl.int64) * size + e
    fired = tl.load(own_z - size, mask=inside, other=0.0)

    for t in range(n_steps):
        now = tl.cast(t, tl.int64) * size
        incoming = scale * tl.load(current + now + e, mask=inside, other=0.0)
        v = _integrate(
            v, fired, _threshold(resting, beta, a, ADAPTIVE), incoming, decay, RESET, SAME_STEP, V_RESET, NON_NEGATIVE
        )
        if KEEP_V:
            tl.store(v_tape + now + e, v, mask=inside)
        if ADAPTIVE:
            a = fading * a + (1 - fading) * fired
            if KEEP_SLOW:
                tl.store(a_tape + now + e, a, mask=inside)
        if REPLAY:
            fired = tl.load(own_z + now, mask=inside, other=0.0)
        else:
            fired = _fire(v, _threshold(resting, beta, a, ADAPTIVE), wait, INCLUSIVE, REFRACTORY)
            tl.store(own_z + now, fired, mask=inside)
        if REFRACTORY:
            if KEEP_SLOW:
                tl.store(closed + now + e, (wait != 0).to(tl.int8), mask=inside)
            wait = tl.where(fired > 0.5, pause, tl.maximum(wait - 1, 0))

    tl.store(v_state + e, v, mask=inside)
    tl.store(a_state + e, a, mask=inside)
    tl.store(wait_state + e, wait, mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def forward_recurrent(
    current: tl.tensor,
    total: tl.tensor,
    z: tl.tensor,
    v_tape: tl.tensor,
    a_tape: tl.tensor,
    closed: tl.tensor,
    v_state: tl.tensor,
    a_state: tl.tensor,
    wait_state: tl.tensor,
    by_sender: tl.tensor,
    delays: tl.tensor,
    decay_mem: tl.tensor,
    input_scale: tl.tensor,
    v_threshold: tl.tensor,
    decay_adapt: tl.tensor,
    beta_adapt: tl.tensor,
    n_refractory: tl.tensor,
    n_steps: tl.tensor,
    batch: tl.tensor,
    n_neurons: tl.tensor,
    lead: tl.tensor,
    n_delays: tl.tensor,
    RESET: tl.constexpr,
    SAME_STEP: tl.constexpr,
    V_RESET: tl.constexpr,
    NON_NEGATIVE: tl.constexpr,
    ADAPTIVE: tl.constexpr,
    REFRACTORY: tl.constexpr,
    INCLUSIVE: tl.constexpr,
    KEEP_V: tl.constexpr,
    KEEP_SLOW: tl.constexpr,
    KEEP_TOTAL: tl.constexpr,
    REPLAY: tl.constexpr,
    BLOCK_BATCH: tl.constexpr,
    BLOCK: tl.constexpr,
    BLOCK_PRE: tl.constexpr,
) -> None:
    """A layer with recurrent synapses: a program for each `BLOCK_BATCH` of samples, with all neurons of the layer.

    It goes through the neurons block by block, so that any number of them fits, and the state is in memory. The
    weights `by_sender` are `[n_delays, N_pre, N_post]`. `total` is the current with the recurrent one, if KEEP_TOTAL.
    """
    b = tl.program_id(0) * BLOCK_BATCH + tl.arange(0, BLOCK_BATCH)
    size = tl.cast(batch, tl.int64) * n_neurons
    for t in range(n_steps):
        now = tl.cast(t, tl.int64) * size
        own_z = z + tl.cast(lead, tl.int64) * size + now
        for first in range(0, n_neurons, BLOCK):
            n = first + tl.arange(0, BLOCK)
            there = n < n_neurons
            inside = (b[:, None] < batch) & there[None, :]
            e = b[:, None] * n_neurons + n[None, :]
            received = tl.load(current + now + e, mask=inside, other=0.0)
            returned = received * 0
            for k in range(n_delays):
                sent = own_z - tl.load(delays + k) * size
                matrix = by_sender + tl.cast(k, tl.int64) * n_neurons * n_neurons
                returned = _add_product(returned, sent, matrix, b, n, batch, n_neurons, BLOCK_PRE)
            received = received + returned
            if KEEP_TOTAL:
                tl.store(total + now + e, received, mask=inside)

            resting = tl.load(v_threshold + n, mask=there, other=1.0)[None, :]
            beta = tl.load(beta_adapt + n, mask=there, other=0.0)[None, :]
            decay = tl.load(decay_mem + n, mask=there, other=0.0)[None, :]
            incoming = tl.load(input_scale + n, mask=there, other=0.0)[None, :] * received
            v = tl.load(v_state + e, mask=inside, other=0.0)
            a = tl.load(a_state + e, mask=inside, other=0.0)
            wait = tl.load(wait_state + e, mask=inside, other=0)
            fired = tl.load(own_z - size + e, mask=inside, other=0.0)
            before = _threshold(resting, beta, a, ADAPTIVE)
            v = _integrate(v, fired, before, incoming, decay, RESET, SAME_STEP, V_RESET, NON_NEGATIVE)
            tl.store(v_state + e, v, mask=inside)
            if KEEP_V:
                tl.store(v_tape + now + e, v, mask=inside)
            if ADAPTIVE:
                fading = tl.load(decay_adapt + n, mask=there, other=0.0)[None, :]
                a = fading * a + (1 - fading) * fired
                tl.store(a_state + e, a, mask=inside)
                if KEEP_SLOW:
                    tl.store(a_tape + now + e, a, mask=inside)
            if REPLAY:
                fired = tl.load(own_z + e, mask=inside, other=0.0)
            else:
                fired = _fire(v, _threshold(resting, beta, a, ADAPTIVE), wait, INCLUSIVE, REFRACTORY)
                tl.store(own_z + e, fired, mask=inside)
            if REFRACTORY:
                if KEEP_SLOW:
                    tl.store(closed + now + e, (wait != 0).to(tl.int8), mask=inside)
                pause = tl.load(n_refractory + n, mask=there, other=0)[None, :]
                wait = tl.where(fired > 0.5, pause, tl.maximum(wait - 1, 0))
                tl.store(wait_state + e, wait, mask=inside)
        # the next step reads spikes and state that other threads of the program wrote in this one
        tl.debug_barrier()


@triton.jit  # type: ignore[untyped-decorator]
def backward_alone(
    d_current: tl.tensor,
    d_spikes: tl.tensor,
    z: tl.tensor,
    v_tape: tl.tensor,
    a_tape: tl.tensor,
    closed: tl.tensor,
    total: tl.tensor,
    dv_state: tl.tensor,
    da_state: tl.tensor,
    d_parameters: tl.tensor,
    decay_mem: tl.tensor,
    input_scale: tl.tensor,
    v_threshold: tl.tensor,
    decay_adapt: tl.tensor,
    beta_adapt: tl.tensor,
    n_steps: tl.tensor,
    size: tl.tensor,
    n_neurons: tl.tensor,
    window: tl.tensor,
    RESET: tl.constexpr,
    SAME_STEP: tl.constexpr,
    DETACHED: tl.constexpr,
    V_RESET: tl.constexpr,
    NON_NEGATIVE: tl.constexpr,
    ADAPTIVE: tl.constexpr,
    REFRACTORY: tl.constexpr,
    SURROGATE: tl.constexpr,
    DAMPENING: tl.constexpr,
    WIDTH: tl.constexpr,
    LOBE_HEIGHT: tl.constexpr,
    LOBE_WIDTH: tl.constexpr,
    SCALED: tl.constexpr,
    PARAMETERS: tl.constexpr,
    KEEP_TOTAL: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """The reverse of `forward_alone`: dL/dI `d_current` from dL/dz `d_spikes`. `z` starts at the first step.

    With PARAMETERS, `d_parameters` `[5, B, N]` gets those of decay_mem, input_scale (if KEEP_TOTAL), v_threshold,
    decay_adapt and beta_adapt added. No gradient passes a step that is a multiple of `window`.
    """
    e = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = e < size
    n = e % n_neurons
    decay = tl.load(decay_mem + n)
    scale = tl.load(input_scale + n)
    resting = tl.load(v_threshold + n)
    fading = tl.load(decay_adapt + n)
    beta = tl.load(beta_adapt + n)
    dv = tl.load(dv_state + e, mask=inside, other=0.0)
    da = tl.load(da_state + e, mask=inside, other=0.0)
    d_decay = dv * 0
    d_scale = dv * 0
    d_resting = dv * 0
    d_fading = dv * 0
    d_beta = dv * 0

    for back in range(n_steps):
        t = n_steps - 1 - back
        now = tl.cast(t, tl.int64) * size
        keep = tl.where((t + 1) % window == 0, 0.0, 1.0).to(dv.dtype)
        v = tl.load(v_tape + now + e, mask=inside, other=0.0)
        fired = tl.load(z + now + e, mask=inside, other=0.0)
        dz = tl.load(d_spikes + now + e, mask=inside, other=0.0)
        a = v * 0
        if ADAPTIVE:
            a = tl.load(a_tape + now + e, mask=inside, other=0.0)
        threshold = _threshold(resting, beta, a, ADAPTIVE)
        h = _pseudo_derivative(v, threshold, SURROGATE, DAMPENING, WIDTH, LOBE_HEIGHT, LOBE_WIDTH)
        if REFRACTORY:
            h = tl.where(tl.load(closed + now + e, mask=inside, other=0) != 0, 0.0, h)
        dv_next = dv
        da_next = da
        dv, da, d_threshold, leaking = _step_back(
            dv, da, dz, h, v, fired, a, threshold, keep, decay, fading, beta,
            RESET, SAME_STEP, DETACHED, V_RESET, NON_NEGATIVE, ADAPTIVE, SCALED,
        )  # fmt: skip
        tl.store(d_current + now + e, scale * dv, mask=inside)
        if PARAMETERS:
            d_decay += dv_next * leaking
            d_resting += d_threshold
            if KEEP_TOTAL:
                d_scale += dv * tl.load(total + now + e, mask=inside, other=0.0)
            if ADAPTIVE:
                d_fading += da_next * (a - fired)
                d_beta += d_threshold * a

    tl.store(dv_state + e, dv, mask=inside)
    tl.store(da_state + e, da, mask=inside)
    if PARAMETERS:
        _add_to(d_parameters + e, d_decay, inside)
        _add_to(d_parameters + size + e, d_scale, inside)
        _add_to(d_parameters + 2 * size + e, d_resting, inside)
        _add_to(d_parameters + 3 * size + e, d_fading, inside)
        _add_to(d_parameters + 4 * size + e, d_beta, inside)


@triton.jit  # type: ignore[untyped-decorator]
def _add_to(where: tl.tensor, what: tl.tensor, inside: tl.tensor) -> None:
    tl.store(where, tl.load(where, mask=inside, other=0.0) + what, mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def backward_recurrent(
    d_current: tl.tensor,
    d_spikes: tl.tensor,
    z: tl.tensor,
    v_tape: tl.tensor,
    a_tape: tl.tensor,
    closed: tl.tensor,
    total: tl.tensor,
    dv_state: tl.tensor,
    da_state: tl.tensor,
    d_parameters: tl.tensor,
    by_receiver: tl.tensor,
    delays: tl.tensor,
    decay_mem: tl.tensor,
    input_scale: tl.tensor,
    v_threshold: tl.tensor,
    decay_adapt: tl.tensor,
    beta_adapt: tl.tensor,
    n_steps: tl.tensor,
    n_steps_left: tl.tensor,
    batch: tl.tensor,
    n_neurons: tl.tensor,
    n_delays: tl.tensor,
    window: tl.tensor,
    RESET: tl.constexpr,
    SAME_STEP: tl.constexpr,
    DETACHED: tl.constexpr,
    V_RESET: tl.constexpr,
    NON_NEGATIVE: tl.constexpr,
    ADAPTIVE: tl.constexpr,
    REFRACTORY: tl.constexpr,
    SURROGATE: tl.constexpr,
    DAMPENING: tl.constexpr,
    WIDTH: tl.constexpr,
    LOBE_HEIGHT: tl.constexpr,
    LOBE_WIDTH: tl.constexpr,
    SCALED: tl.constexpr,
    PARAMETERS: tl.constexpr,
    KEEP_TOTAL: tl.constexpr,
    BLOCK_BATCH: tl.constexpr,
    BLOCK: tl.constexpr,
    BLOCK_PRE: tl.constexpr,
) -> None:
    """The reverse of `forward_recurrent`, otherwise as `backward_alone`.

    The weights `by_receiver` are `[n_delays, N_post, N_pre]`. `d_current` goes on for `n_steps_left` steps from the
    first of this call, those after its `n_steps` written before.
    """
    b = tl.program_id(0) * BLOCK_BATCH + tl.arange(0, BLOCK_BATCH)
    size = tl.cast(batch, tl.int64) * n_neurons
    for back in range(n_steps):
        t = n_steps - 1 - back
        now = tl.cast(t, tl.int64) * size
        for first in range(0, n_neurons, BLOCK):
            n = first + tl.arange(0, BLOCK)
            there = n < n_neurons
            inside = (b[:, None] < batch) & there[None, :]
            e = b[:, None] * n_neurons + n[None, :]
            dz = tl.load(d_spikes + now + e, mask=inside, other=0.0)
            for k in range(n_delays):
                delay = tl.load(delays + k)
                if (t + delay < n_steps_left) & (t % window + delay < window):
                    arrived = d_current + now + delay * size
                    matrix = by_receiver + tl.cast(k, tl.int64) * n_neurons * n_neurons
                    dz = _add_product(dz, arrived, matrix, b, n, batch, n_neurons, BLOCK_PRE)

            resting = tl.load(v_threshold + n, mask=there, other=1.0)[None, :]
            beta = tl.load(beta_adapt + n, mask=there, other=0.0)[None, :]
            decay = tl.load(decay_mem + n, mask=there, other=0.0)[None, :]
            fading = tl.load(decay_adapt + n, mask=there, other=0.0)[None, :]
            scale = tl.load(input_scale + n, mask=there, other=0.0)[None, :]
            keep = tl.where((t + 1) % window == 0, 0.0, 1.0).to(dz.dtype)
            v = tl.load(v_tape + now + e, mask=inside, other=0.0)
            fired = tl.load(z + now + e, mask=inside, other=0.0)
            a = v * 0
            if ADAPTIVE:
                a = tl.load(a_tape + now + e, mask=inside, other=0.0)
            threshold = _threshold(resting, beta, a, ADAPTIVE)
            h = _pseudo_derivative(v, threshold, SURROGATE, DAMPENING, WIDTH, LOBE_HEIGHT, LOBE_WIDTH)
            if REFRACTORY:
                h = tl.where(tl.load(closed + now + e, mask=inside, other=0) != 0, 0.0, h)
            dv_next = tl.load(dv_state + e, mask=inside, other=0.0)
            da_next = tl.load(da_state + e, mask=inside, other=0.0)
            dv, da, d_threshold, leaking = _step_back(
                dv_next, da_next, dz, h, v, fired, a, threshold, keep, decay, fading, beta,
                RESET, SAME_STEP, DETACHED, V_RESET, NON_NEGATIVE, ADAPTIVE, SCALED,
            )  # fmt: skip
            tl.store(d_current + now + e, scale * dv, mask=inside)
            tl.store(dv_state + e, dv, mask=inside)
            if ADAPTIVE:
                tl.store(da_state + e, da, mask=inside)
            if PARAMETERS:
                _add_to(d_parameters + e, dv_next * leaking, inside)
                if KEEP_TOTAL:
                    _add_to(d_parameters + size + e, dv * tl.load(total + now + e, mask=inside, other=0.0), inside)
                _add_to(d_parameters + 2 * size + e, d_threshold, inside)
                if ADAPTIVE:
                    _add_to(d_parameters + 3 * size + e, da_next * (a - fired), inside)
                    _add_to(d_parameters + 4 * size + e, d_threshold * a, inside)
        # the step before this one reads currents and state that other threads of the program wrote in this one
        tl.debug_barrier()
