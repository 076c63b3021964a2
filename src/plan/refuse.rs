//! Every refusal, with the sentence of the specification behind it.
