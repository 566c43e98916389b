"""Faults of recurrent layers, each patched into the real symbol, and those that only two ways of using a layer tell apart."""

from __future__ import annotations

from bench.selftest.faults import recurrent_changes as change
from bench.selftest.faults import recurrent_changes_in_keras as in_keras
from bench.selftest.faults.of_equalities import Broken
from bench.selftest.faults.plant import Fault, after, one, scaled, with_arguments, with_attribute

LSTM, GRU, TANH = "torch._VF.lstm", "torch._VF.gru", "torch._VF.rnn_tanh"
BOTH, UNEVEN = "rnn,layers=2,cell=lstm,direction=both,lengths=uneven", "rnn,layers=2,cell=gru,outputs=all,lengths=uneven,between=layer"
TURNED = "rnn,cell=lstm,direction=both"
CUT = "rnn,layers=3,length=16,cell=lstm,outputs=all,forget=chrono,truncated=6,clip=global,clip_at=0.1"
AT_ORIGIN = "rnn,width=8,init=orthogonal,input=tiny"
HALF = "rnn,precision=mixed_float16"
KEPT, UNITARY = "rnn,width=8,parametrization=orthogonal,init=orthogonal,input=tiny", "rnn,cell=relu,parametrization=unitary"

TORCH_RECURRENT = (
    Fault("lstm: input and forget gate swapped", "rnn,cell=lstm", "forward_parity", "layer  1 time 1", one(LSTM, change.torch_weights(change.blocks(4, lambda gate: [gate[1], gate[0], *gate[2:]])))),
    Fault("lstm: forget bias lost", "rnn,cell=lstm", "forward_parity", "layer  1 time 2", one(LSTM, change.torch_weights(change.forget_bias_lost))),
    Fault("lstm: nothing passes back into the first time step", "rnn,cell=lstm", "gradient_parity", "steps time 1", one("torch.nn.LSTM.forward", change.first_step_detached)),
    Fault("gru: reset before the product", "rnn,cell=gru", "forward_parity", "layer  1 time 2", one(GRU, change.reset_before)),
    Fault("gru: update gate the other way round", "rnn,cell=gru", "forward_parity", "layer  1 time 1", one(GRU, change.torch_weights(change.blocks(3, lambda gate: [gate[0], -gate[1], gate[2]])))),
    Fault("rnn: state of the last batch not reset", "rnn", "forward_parity", "layer  1 time 1", one("torch.nn.RNN.forward", change.stale_state)),
    Fault("rnn: a bias added twice", "rnn", "forward_parity", "step 1 loss", one(TANH, change.torch_weights(lambda w: [*w[:2], 2 * w[2], w[3]]))),
    Fault("rnn: the first gradient after building is too long in a middle step", AT_ORIGIN, "time_gain", "own weights layer  1 time 4 ‖δ‖", one("torch.nn.RNN.forward", change.in_the_first_call(change.gradient_of_a_middle_step))),
    Fault("rnn: the identity starts at 0.999", "rnn,cell=relu,recurrent=identity", "recurrent_start", "RᵀR", one("torch.nn.init.eye_", change.filled_times(0.999))),
    Fault("rnn: an orthogonal start is a thousandth too long", "rnn", "recurrent_start", "RᵀR", one("torch.nn.init.orthogonal_", change.filled_times(1.001))),
    Fault("rnn: recurrent weights are zero below the diagonal", "rnn,width=128,recurrent=normal,input=tiny", "time_scales", "‖∂L/∂x‖", one("torch.nn.init.normal_", change.triangular)),
    Fault("rnn: the last step's gradient lost", "rnn", "gradient_parity", "steps time 8", one("torch.nn.RNN.forward", change.last_step_detached)),
    Fault("lstm: the state kept in float32 under float64", "rnn,cell=lstm,precision=float64", "forward_parity", "layer  1 time 1", one("torch.nn.LSTM.forward", change.outputs_in_float32)),
    Fault("lstm: the backward direction's gradient lost", BOTH, "gradient_parity", "layer  2 backward weight", one("torch.nn.LSTM.forward", change.backward_detached)),
    Fault("lstm: packed a step too short", BOTH, "forward_parity", "layer  1 time", one("torch.nn.utils.rnn.pack_padded_sequence", change.packed_too_short)),
    Fault("gru: steps after a sample's end hold numbers", UNEVEN, "forward_parity", "layer  1 time 8", one("torch.nn.utils.rnn.pad_packed_sequence", with_arguments(padding_value=0.01))),
    Fault("gru: outputs normalized over time steps, too", UNEVEN, "forward_parity", "layer  1 normalized time 1", one("torch.nn.LayerNorm.forward", change.normalized_over_time)),
    Fault("lstm: memories of a chrono start twice as long", CUT, "recurrent_start", "memory in steps", one("torch.nn.init.uniform_", lambda f: lambda w, a=0.0, b=1.0: f(w, a, 2 * b))),
    Fault("lstm: a truncated gradient ends a step too late in its piece", CUT, "gradient_parity", "steps time 13", one("torch.nn.LSTM.forward", change.first_step_detached)),
    Fault("rnn: a weight that is kept orthogonal is a thousandth too long", KEPT, "forward_parity", "layer  1 time 2", one("torch.nn.utils.parametrizations._Orthogonal.forward", scaled(1.001))),
    Fault("rnn: a weight that is kept unitary learns from half of its formula", UNITARY, "gradient_parity", "layer  1 recurrent weight", one("torch.linalg.solve", lambda f: lambda a, b: f(a.detach(), b))),
    Fault("rnn: autocast leaves recurrent layers in float32", HALF, "precision", "recur in another format", one("torch.nn.RNN.forward", change.without_autocast(lambda h: h))),
    Fault("rnn: half outputs cut off, not rounded", HALF, "rounding", "layer  1 time", one("torch.nn.RNN.forward", change.without_autocast(change.cut_off))),
    Fault("lstm: in training, the state of the last batch is not reset from the 450th call on", "rnn,cell=lstm", "training", "loss", one("torch.nn.LSTM.forward", after(450, change.stale_state)), trains=True),
    Fault("rnn: the recurrent weight's gradient a thousandth too long", "rnn", "gradient_parity", "layer  1 recurrent weight", one(TANH, change.gradient_scaled(1, 1.001))),
    Fault("lstm: the input weight's gradient a thousandth too long", "rnn,cell=lstm", "gradient_parity", "layer  1 weight", one(LSTM, change.gradient_scaled(0, 1.001))),
    Fault("gru: biases of reset and update gate swapped", "rnn,cell=gru", "forward_parity", "step 1 loss", one(GRU, change.torch_weights(lambda w: [*w[:2], *change.blocks(3, lambda gate: [gate[1], gate[0], gate[2]])(w[2:3]), w[3]]))),
    Fault("lstm: the backward direction reads forwards", TURNED, "forward_parity", "layer  1 time 1", one("torch.nn.LSTM.forward", change.not_turned_round)),
    Fault("lstm: samples of a packed sequence come back by length", BOTH, "forward_parity", "layer  1 time 1", one("torch.nn.utils.rnn.pad_packed_sequence", change.by_length)),
    Fault("lstm: the output is handed on as the cell's state", CUT, "forward_parity", "layer  1 time 7", one("torch.nn.LSTM.forward", change.output_for_cell)),
)  # fmt: skip

KERAS_RECURRENT = (
    Fault("lstm: input and forget gate swapped", "rnn,cell=lstm", "forward_parity", "layer  1 time 1", one("keras.layers.LSTMCell.call", with_attribute("kernel", in_keras.keras_blocks(4, lambda gate: [gate[1], gate[0], *gate[2:]])))),
    Fault("lstm: hard sigmoid in the gates, as in Keras 2.0", "rnn,cell=lstm", "forward_parity", "layer  1 time 1", one("keras.layers.LSTMCell.call", with_attribute("recurrent_activation", in_keras.hard_sigmoid))),
    Fault("lstm: no step hands its gradient back", "rnn,cell=lstm", "gradient_parity", "steps time 1", one("keras.layers.LSTMCell.call", in_keras.state_without_gradient)),
    Fault("lstm: forget bias lost", "rnn,cell=lstm", "recurrent_start", "layer  1 bias", one("keras.layers.LSTMCell.build", with_attribute("unit_forget_bias", lambda begins: False))),
    Fault("gru: update gate and reset gate swapped", "rnn,cell=gru", "forward_parity", "layer  1 time 1", one("keras.layers.GRUCell.call", with_attribute("kernel", in_keras.keras_blocks(3, lambda gate: [gate[1], gate[0], gate[2]])))),
    Fault("rnn: the state does not begin at zero", "rnn", "forward_parity", "layer  1 time 1", one("keras.layers.RNN.get_initial_state", in_keras.begins_at(0.01))),
    Fault("rnn: a bias added twice", "rnn", "forward_parity", "step 1 loss", one("keras.layers.SimpleRNNCell.call", with_attribute("bias", lambda bias: 2 * bias))),
    Fault("rnn: an orthogonal start is a thousandth too long", "rnn", "recurrent_start", "RᵀR", one("keras.initializers.Orthogonal.__call__", scaled(1.001))),
    Fault("lstm: the state kept in float32 under float64", "rnn,cell=lstm,precision=float64", "forward_parity", "layer  1 time 1", one("keras.layers.LSTMCell.call", in_keras.state_in_float32)),
    Fault("lstm: the mask is ignored", BOTH, "forward_parity", "layer  1 time 8", one("keras.src.backend.rnn", with_arguments(mask=None))),
    Fault("lstm: half of the backward direction's gradient lost", BOTH, "gradient_parity", "layer  2 backward weight", one("keras.layers.LSTM.call", in_keras.half_a_gradient_backwards)),
    Fault("gru: steps after a sample's end repeat the last output", UNEVEN, "forward_parity", "layer  1 time 8", one("keras.src.backend.rnn", with_arguments(zero_output_for_mask=False))),
    Fault("gru: normalized outputs a thousandth too long", UNEVEN, "forward_parity", "layer  1 normalized time 1", one("keras.layers.LayerNormalization.call", scaled(1.001))),
    Fault("gru: the second bias added twice", "rnn,cell=gru", "forward_parity", "step 1 loss", one("keras.layers.GRUCell.call", with_attribute("bias", in_keras.second_bias_twice))),
    Fault("lstm: memories of a chrono start twice as long", CUT, "recurrent_start", "memory in steps", one("keras.initializers.RandomUniform.__call__", with_attribute("maxval", lambda most: 2 * most))),
    Fault("rnn: a weight that is kept orthogonal is turned the other way", KEPT, "forward_parity", "layer  1 time 2", one("keras.ops.solve", lambda f: lambda a, b: f(b, a))),
    Fault("rnn: a weight that is kept unitary learns from half of its formula", UNITARY, "gradient_parity", "layer  1 recurrent weight", one("keras.ops.solve", in_keras.half_learned)),
    Fault("rnn: half outputs are handed on in float32", HALF, "precision", "recur in another format", one("keras.layers.SimpleRNN.call", in_keras.handed_on_in_float32)),
    Fault("rnn: half outputs a last place too small", HALF, "rounding", "layer  1 time", one("keras.layers.SimpleRNN.call", scaled(1 - 2.0**-11))),
    Fault("lstm: a state that is cut off hands its gradient back", CUT, "gradient_parity", "steps time 12", one("keras.ops.stop_gradient", lambda f: lambda x: x)),
    Fault("lstm: a mask ends a step too late", BOTH, "forward_parity", "layer  1 time 8", one("keras.src.backend.rnn", in_keras.mask_ends_late)),
    Fault("lstm: the backward direction's mask is not turned round", BOTH, "forward_parity", "layer  1 time 1", one("keras.src.backend.rnn", in_keras.mask_not_turned_round)),
    Fault("lstm: the mean of both directions is handed out for either", TURNED, "forward_parity", "layer  1 time 1", one("keras.layers.Bidirectional.call", in_keras.mean_of_directions)),
    Fault("lstm: a state that is given is ignored", CUT, "forward_parity", "layer  1 time 7", one("keras.layers.LSTM.call", in_keras.state_ignored)),
    Fault("lstm: both directions begin alike", BOTH, "recurrent_start", "the same as the backward direction's", one("keras.layers.Bidirectional.build", in_keras.directions_alike)),
    Fault("lstm: every gate is orthogonal by itself", "rnn,cell=lstm", "recurrent_start", "RᵀR", one("keras.initializers.Orthogonal.__call__", in_keras.gate_by_gate)),
    Fault("lstm: recurrent weights are not penalized", "rnn,cell=lstm,l2=0.01", "gradient_parity", "layer  1 recurrent weight", one("keras.layers.LSTMCell.build", with_attribute("recurrent_regularizer", lambda penalty: None))),
    Fault("lstm: the gradient of tanh a thousandth too short", "rnn,cell=lstm", "gradient_parity", "steps time 1", one("keras.layers.LSTMCell.call", with_attribute("activation", in_keras.gradient_short))),
)  # fmt: skip

TORCH_WAYS = (
    Broken("a cell by itself has another input weight", "cells_in_a_loop", "lstm cells in a loop: outputs", one("torch._VF.lstm_cell", lambda f: lambda x, hx, w, *rest: f(x, hx, 1.001 * w, *rest))),
    Broken("time first taken for batch first", "time_first", "lstm time first: outputs", one("torch.nn.LSTM.__init__", with_arguments(batch_first=True))),
    Broken("a state that is given is ignored", "stateful_halves", "lstm halves: outputs", one("torch.nn.LSTM.forward", lambda f: lambda self, x, hx=None: f(self, x))),
    Broken("packed a step too short", "padded_tail", "tanh padded: outputs", one("torch.nn.utils.rnn.pack_padded_sequence", change.packed_too_short)),
    Broken("directions swapped", "both_directions", "lstm bidirectional: outputs", one(LSTM, change.torch_weights(lambda w: w[4:] + w[:4], lambda *rest: rest[4]))),
    Broken("compiled outputs a thousandth too long", "compiled_cells", "lstm compiled cells: outputs", one("torch.compile", lambda f: lambda steps: lambda *given: tuple(1.001 * each for each in steps(*given)))),
    Broken("dropout between layers drops half as much", "dropout_between", "lstm dropout between: outputs", one(LSTM, lambda f: lambda x, hx, w, bias, layers, dropout, *rest: f(x, hx, w, bias, layers, dropout / 2, *rest))),
    Broken("a state that was detached hands its gradient back", "truncated_through_time", "lstm detached: gradient of x", one("torch.nn.LSTM.forward", change.undetached)),
    Broken("a forget gate that is held open closes", "error_carousel", "forget bias 40:", one(LSTM, change.torch_weights(change.forget_bias_lost))),
    Broken("an orthogonal weight a thousandth too long", "kept_orthogonal", "RᵀR", one("torch.nn.utils.parametrizations._Orthogonal.forward", scaled(1.001))),
    Broken("the second layer has another weight", "stacked_layers", "gru stacked: outputs", one(GRU, change.torch_weights(lambda w: [*w[:4], 1.001 * w[4], *w[5:]], lambda *rest: rest[1] > 1))),
)  # fmt: skip

KERAS_WAYS = (
    Broken("a layer's state does not begin at zero", "cells_in_a_loop", "tanh cells in a loop: outputs", one("keras.layers.RNN.get_initial_state", in_keras.begins_at(0.01))),
    Broken("unrolled outputs a thousandth too long", "unrolled", "tanh unrolled: outputs", one("keras.src.backend.rnn", in_keras.unrolled_otherwise)),
    Broken("stateful layers keep no state", "stateful_halves", "lstm halves: outputs", one("keras.layers.RNN.__init__", with_arguments(stateful=False))),
    Broken("the mask is ignored", "padded_tail", "lstm padded: last output", one("keras.src.backend.rnn", lambda f: lambda *a, mask=None, **k: f(*a, mask=None, **k))),
    Broken("the backward direction is not turned round again", "both_directions", "lstm bidirectional: outputs", one("keras.layers.Bidirectional.call", with_attribute("return_sequences", lambda returned: False))),
    Broken("stacked cells hand out a thousandth too much beside a mask", "stacked_padded", "lstm stacked padded: outputs", one("keras.layers.StackedRNNCells.call", in_keras.first_output_scaled)),
    Broken("a stateful layer's outputs a thousandth too long", "stateful_trained", "stateful: outputs", one("keras.layers.LSTM.call", in_keras.stateful_outputs_scaled)),
    Broken("a loss counts twice where a mask comes with it", "masked_loss", "8 samples: loss", one("keras.src.losses.loss.reduce_weighted_values", in_keras.masked_loss_doubled)),
    Broken("a mask is ignored where it begins", "padded_head", "lstm padded before: outputs", one("keras.src.backend.rnn", in_keras.mask_ignored_at_the_beginning)),
    Broken("a scan hands out a thousandth too much", "scanned", "lstm scan: outputs", one("keras.ops.scan", in_keras.scanned_otherwise)),
    Broken("a while loop ends a step too early", "while_loop", "lstm compiled while loop: outputs", one("keras.ops.while_loop", lambda f: lambda test, body, held, maximum_iterations: f(test, body, held, maximum_iterations=maximum_iterations - 1))),
    Broken("compiled outputs a thousandth too long", "compiled_layer", "lstm compiled layer: outputs", one("keras.layers.LSTMCell.call", in_keras.compiled_otherwise)),
    Broken("a dropout mask drawn anew in every step", "dropout_between", "lstm dropout between: outputs", one("keras.src.layers.rnn.dropout_rnn_cell.DropoutRNNCell.get_dropout_mask", in_keras.mask_drawn_anew)),
    Broken("recurrent dropout drops what is carried, too", "dropout_in_time", "gru recurrent dropout: outputs", one("keras.layers.GRUCell.call", in_keras.carried_state_dropped), "https://github.com/keras-team/keras/pull/20656"),
    Broken("recurrent dropout has one mask for all gates", "dropout_in_time", "lstm recurrent dropout: outputs", one("keras.src.layers.rnn.dropout_rnn_cell.DropoutRNNCell.get_recurrent_dropout_mask", lambda f: lambda self, h: 4 * f(self, h)[:1]), "https://github.com/keras-team/keras/pull/20663"),
    Broken("recurrent dropout is ignored", "dropout_in_time", "lstm recurrent dropout: outputs", one("keras.src.layers.rnn.dropout_rnn_cell.DropoutRNNCell.get_recurrent_dropout_mask", lambda f: lambda self, h: 4 * [1]), "https://github.com/keras-team/keras/pull/19397"),
    Broken("a gradient that is stopped passes on", "truncated_through_time", "lstm detached: gradient of x", one("keras.ops.stop_gradient", lambda f: lambda x: x)),
    Broken("biases lost", "error_carousel", "forget bias 40:", one("keras.layers.LSTMCell.call", with_attribute("bias", lambda bias: 0 * bias))),
    Broken("the constraint of a recurrent weight is lost", "kept_orthogonal", "RᵀR", one("keras.layers.SimpleRNNCell.build", with_attribute("recurrent_constraint", lambda constraint: None))),
    Broken("stacked cells hand out a thousandth too much", "stacked_layers", "gru stacked: outputs", one("keras.layers.StackedRNNCells.call", in_keras.first_output_scaled)),
)  # fmt: skip
