//! Signal dispositions and masks as a fresh process has them; signalfd(2).
