//! The table of rules: to add one, write its file, name its module in `mod.rs`, and add a line here.

/// Hands the table to the macro `$then`: each rule's variant of [`RuleName`](super::RuleName), its name in a
/// spec, and its type, relative to the optimizers' module.
macro_rules! rule_table {
    ($then:ident) => {
        $then! {
            /// Stochastic gradient descent, with momentum or Nesterov's.
            #[default]
            Sgd = "sgd", sgd::Sgd;
            /// Adam (Kingma & Ba 2015).
            Adam = "adam", adam::Adam;
            /// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
            AdamW = "adamw", adamw::AdamW;
            /// RMSprop (Hinton's lecture 6e).
            RmsProp = "rmsprop", rmsprop::RmsProp;
            /// Adagrad (Duchi, Hazan & Singer 2011).
            Adagrad = "adagrad", adagrad::Adagrad;
            /// Adadelta (Zeiler 2012).
            Adadelta = "adadelta", adadelta::Adadelta;
            /// Adam with Nesterov's momentum (Dozat 2016).
            NAdam = "nadam", nadam::NAdam;
            /// Rectified Adam (Liu et al. 2020).
            RAdam = "radam", radam::RAdam;
            /// Evolved sign momentum (Chen et al. 2023).
            Lion = "lion", lion::Lion;
            /// Momentum orthogonalised by Newton-Schulz steps (Jordan et al. 2024).
            Muon = "muon", muon::Muon;
            /// Adam in Shampoo's eigenbasis (Vyas et al. 2024).
            Soap = "soap", soap::Soap;
            /// Kronecker-factored Adagrad (Gupta, Koren & Singer 2018).
            Shampoo = "shampoo", shampoo::Shampoo;
            /// Clipped steps over the Hessian's diagonal (Liu et al. 2023).
            Sophia = "sophia", sophia::Sophia;
            /// Adaptive Nesterov momentum (Xie et al. 2022).
            Adan = "adan", adan::Adan;
            /// Adam with a second, slow mean (Pagliardini et al. 2024).
            AdEmaMix = "ademamix", ademamix::AdEmaMix;
            /// AdamW on variance-reduced gradients (Yuan et al. 2024).
            Mars = "mars", mars::Mars;
            /// Adam over the second moment of the steps before (Taniguchi et al. 2024).
            Adopt = "adopt", adopt::Adopt;
            /// Adam that estimates its own rate (Mishchenko & Defazio 2023).
            Prodigy = "prodigy", prodigy::Prodigy;
            /// Schedule-Free SGD (Defazio et al. 2024).
            ScheduleFreeSgd = "schedule_free_sgd", schedule_free_sgd::ScheduleFreeSgd;
            /// Schedule-Free AdamW (Defazio et al. 2024).
            ScheduleFreeAdamW = "schedule_free_adamw", schedule_free_adamw::ScheduleFreeAdamW;
            /// Layer-wise adaptive rates for SGD (You, Gitman & Ginsburg 2017).
            Lars = "lars", lars::Lars;
            /// Layer-wise adaptive rates for Adam (You et al. 2020).
            Lamb = "lamb", lamb::Lamb;
            /// L-BFGS with a strong Wolfe line search, for the full batch (Liu & Nocedal 1989).
            Lbfgs = "lbfgs", lbfgs::Lbfgs;
        }
    };
}
pub(super) use rule_table;
