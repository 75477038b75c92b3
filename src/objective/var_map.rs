//! The loss of somebody's own candle model, whose parameters are the variables of a
//! [`candle_nn::VarMap`].

use std::sync::Mutex;

use candle_core::{DType, Tensor, Var};
use candle_nn::VarMap;

use super::{Evaluation, Objective};
use crate::network::{ParamLayout, Role};
use crate::{Error, Result};

/// A loss that a closure computes from the variables of a `VarMap`.
///
/// The variables are put in the order of their names, as a `VarMap` walks its own in another order
/// each time. Names that end in `running_mean`, `running_var` or `num_batches_tracked` are buffers:
/// part of a snapshot, never of a direction.
///
/// One point is evaluated at a time, as all points share the variables; after each evaluation they
/// hold again what they held before.
pub struct VarMapObjective<F> {
    layout: ParamLayout,
    parameters: Vec<Var>,
    buffers: Vec<Var>,
    loss: Mutex<F>,
}

impl<F: Fn() -> candle_core::Result<Tensor> + Send> VarMapObjective<F> {
    /// The objective whose value is the scalar tensor that `loss` makes of the model that `variables`
    /// belongs to: a mean over a fixed sample, without dropout, so that it is a function of the
    /// weights alone.
    ///
    /// # Errors
    /// [`Error::BadValue`] for a `VarMap` without a parameter.
    pub fn new(variables: &VarMap, loss: F) -> Result<Self> {
        let map = variables.data().lock().unwrap_or_else(|e| e.into_inner());
        let mut named: Vec<(String, Var)> =
            map.iter().map(|(name, var)| (name.clone(), var.clone())).collect();
        drop(map);
        named.sort_by(|a, b| a.0.cmp(&b.0));
        let (buffers, parameters): (Vec<_>, Vec<_>) =
            named.into_iter().partition(|(name, _)| is_buffer(name));
        if parameters.is_empty() {
            return Err(Error::bad_value(
                "variables",
                0,
                "no parameter",
                "build the model from this VarMap first",
            ));
        }
        let layout = ParamLayout::of_tensors(
            parameters.iter().map(|(name, var)| {
                (name.clone(), var.dims().to_vec(), Role::of_tensor(name, var.dims()))
            }),
            buffers.iter().map(|(name, var)| (name.clone(), var.dims().to_vec())),
        );
        let variables = |named: Vec<(String, Var)>| named.into_iter().map(|(_, var)| var).collect();
        let (parameters, buffers) = (variables(parameters), variables(buffers));
        Ok(Self { layout, parameters, buffers, loss: Mutex::new(loss) })
    }

    /// Names, shapes and order of the parameters and buffers.
    pub fn layout(&self) -> &ParamLayout {
        &self.layout
    }

    /// What the parameters and the buffers hold now, in the layout's order.
    ///
    /// # Errors
    /// [`Error::Candle`].
    pub fn state(&self) -> Result<(Vec<f32>, Vec<f32>)> {
        let read =
            |variables| values(variables).map_err(Error::candle("read the model's variables"));
        Ok((read(&self.parameters)?, read(&self.buffers)?))
    }

    /// `f` with the parameters set to `theta`, (P,); they hold what they held before when it returns.
    fn at<T>(&self, theta: &[f32], f: impl FnOnce(&F) -> candle_core::Result<T>) -> Result<T> {
        if theta.len() != self.layout.dim() {
            return Err(Error::bad_value(
                "theta",
                theta.len(),
                format!("values for {} parameters", self.layout.dim()),
                "use weights of the same model",
            ));
        }
        let loss = self.loss.lock().unwrap_or_else(|e| e.into_inner());
        let evaluate = || {
            let copies = self.parameters.iter().map(|var| var.as_tensor().copy());
            let before: Vec<Tensor> = copies.collect::<candle_core::Result<_>>()?;
            let result = self.set(theta).and_then(|()| f(&loss));
            let put_back = |(var, value): (&Var, &Tensor)| var.set(value);
            self.parameters.iter().zip(&before).try_for_each(put_back)?;
            result
        };
        evaluate().map_err(Error::candle("evaluate the model"))
    }

    fn set(&self, theta: &[f32]) -> candle_core::Result<()> {
        for (var, param) in self.parameters.iter().zip(&self.layout.params) {
            let values = Tensor::from_slice(&theta[param.range()], var.dims(), var.device())?;
            var.set(&values.to_dtype(var.dtype())?)?;
        }
        Ok(())
    }
}

fn is_buffer(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    ["running_mean", "running_var", "num_batches_tracked"].contains(&last)
}

fn values(variables: &[Var]) -> candle_core::Result<Vec<f32>> {
    let mut out = Vec::new();
    for var in variables {
        out.extend(var.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(out)
}

fn scalar(loss: &Tensor) -> candle_core::Result<f64> {
    loss.to_dtype(DType::F64)?.to_scalar::<f64>()
}

impl<F: Fn() -> candle_core::Result<Tensor> + Send> Objective for VarMapObjective<F> {
    fn dim(&self) -> usize {
        self.layout.dim()
    }

    /// Nothing is counted and no standard error is known: the closure gives the mean alone.
    fn loss(&self, theta: &[f32]) -> Result<Evaluation> {
        let loss = self.at(theta, |loss| scalar(&loss()?))?;
        Ok(Evaluation { loss, loss_se: f64::NAN, correct: 0, total: 0 })
    }

    fn loss_and_grad(&self, theta: &[f32], grad: &mut [f32]) -> Result<f64> {
        self.at(theta, |loss| {
            let value = loss()?;
            let gradients = value.backward()?;
            for (var, param) in self.parameters.iter().zip(&self.layout.params) {
                let out = &mut grad[param.range()];
                match gradients.get(var.as_tensor()) {
                    Some(g) => out
                        .copy_from_slice(&g.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?),
                    // A parameter that the loss does not depend on.
                    None => out.fill(0.0),
                }
            }
            scalar(&value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use candle_nn::{Linear, Module, VarBuilder};

    /// A regression with two layers, its data fixed.
    fn objective() -> VarMapObjective<impl Fn() -> candle_core::Result<Tensor> + Send> {
        let variables = VarMap::new();
        let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
        let first = candle_nn::linear(3, 4, builder.pp("first")).unwrap();
        let second: Linear = candle_nn::linear(4, 1, builder.pp("second")).unwrap();
        builder.get_with_hints(4, "norm.running_mean", candle_nn::init::ZERO).unwrap();
        let x = Tensor::from_vec(
            (0..15).map(|i| (i as f32 * 0.7).sin()).collect::<Vec<_>>(),
            (5, 3),
            &Device::Cpu,
        );
        let (x, y) = (x.unwrap(), Tensor::ones((5, 1), DType::F32, &Device::Cpu).unwrap());
        VarMapObjective::new(&variables, move || {
            (second.forward(&first.forward(&x)?.tanh()?)? - &y)?.sqr()?.mean_all()
        })
        .unwrap()
    }

    #[test]
    fn variables_are_ordered_by_name_and_running_statistics_are_buffers() {
        let objective = objective();
        let names: Vec<&str> = objective.layout.params.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["first.bias", "first.weight", "second.bias", "second.weight"]);
        let roles: Vec<Role> = objective.layout.params.iter().map(|p| p.role).collect();
        assert_eq!(roles, [Role::Bias, Role::Weight, Role::Bias, Role::Weight]);
        assert_eq!(objective.layout.buffers[0].name, "norm.running_mean");
        let (theta, buffers) = objective.state().unwrap();
        assert_eq!((theta.len(), buffers.len()), (4 + 12 + 1 + 4, 4));
    }

    #[test]
    fn the_gradient_is_that_of_differences_and_the_model_is_left_as_it_was() {
        let objective = objective();
        let (before, _) = objective.state().unwrap();
        let theta: Vec<f32> = before.iter().map(|w| 0.5 * w + 0.1).collect();
        let mut grad = vec![0.0; objective.dim()];
        let loss = objective.loss_and_grad(&theta, &mut grad).unwrap();
        assert_eq!(loss, objective.loss(&theta).unwrap().loss);
        for (k, g) in grad.iter().enumerate() {
            let at = |h: f32| {
                let mut moved = theta.clone();
                moved[k] += h;
                objective.loss(&moved).unwrap().loss
            };
            let difference = (at(1e-2) - at(-1e-2)) / 2e-2;
            // f32 losses of order one with a step of 1e-2.
            assert!((difference - f64::from(*g)).abs() < 1e-3, "{k}: {difference} {g}");
        }
        assert_eq!(objective.state().unwrap().0, before);
        assert!(objective.loss(&theta[1..]).is_err());
        assert_eq!(objective.state().unwrap().0, before);
    }
}
