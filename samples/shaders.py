"""Materials as Blender shader nodes. Needs bpy; only render.py imports it."""

from __future__ import annotations

from typing import Any

import bpy  # type: ignore[import-not-found]

from samples.materials import Material

ROUGHNESS = {
    "brass": 0.25, "ceramic": 0.18, "enamel": 0.25, "fabric": 0.9, "flame": 0.5, "fuzz": 1.0, "glass": 0.0,
    "glow": 0.5, "iron": 0.5, "leaf": 0.45, "leather": 0.42, "lens": 0.12, "liquid": 0.02, "matte": 0.75, "metal": 0.3,
    "paint": 0.4, "pebble": 0.5, "plastic": 0.32, "shade": 0.9, "tinted": 0.05, "wax": 0.45, "wicker": 0.65,
    "wood": 0.42,
}  # fmt: skip
Rgb = tuple[float, float, float]


def scaled(rgb: Rgb, factor: float) -> Rgb:
    return min(rgb[0] * factor, 1.0), min(rgb[1] * factor, 1.0), min(rgb[2] * factor, 1.0)


class Shader:
    """The node tree of one material while it is put together."""

    def __init__(self, of: Material, longest_axis: int) -> None:
        self.of = of
        self.grain = longest_axis if of.grain is None else of.grain
        self.result = bpy.data.materials.new(of.finish)
        self.result.use_nodes = True
        self.nodes = self.result.node_tree.nodes
        self.link = self.result.node_tree.links.new
        self.principled = self.nodes["Principled BSDF"]

    def set(self, **values: Any) -> None:
        """Inputs of the principled shader by name, an underscore for a space."""
        for name, value in values.items():
            self.principled.inputs[name.replace("_", " ")].default_value = value

    def texture(self, kind: str, stretch: tuple[float, float, float] = (1, 1, 1), **values: float) -> Any:
        """A procedural texture over object coordinates."""
        place = self.nodes.new("ShaderNodeTexCoord")
        mapping = self.nodes.new("ShaderNodeMapping")
        mapping.inputs["Scale"].default_value = stretch
        texture = self.nodes.new(kind)
        for name, value in values.items():
            texture.inputs[name].default_value = value
        self.link(place.outputs["Object"], mapping.inputs["Vector"])
        self.link(mapping.outputs["Vector"], texture.inputs["Vector"])
        return texture

    def noise(self, scale: float, detail: float, stretch: tuple[float, float, float] = (1, 1, 1)) -> Any:
        return self.texture("ShaderNodeTexNoise", stretch, Scale=scale, Detail=detail).outputs["Fac"]

    def bump(self, height: Any, strength: float, distance: float = 0.02) -> None:
        node = self.nodes.new("ShaderNodeBump")
        node.inputs["Strength"].default_value = strength
        node.inputs["Distance"].default_value = distance
        self.link(height, node.inputs["Height"])
        self.link(node.outputs["Normal"], self.principled.inputs["Normal"])

    def mottle(self, by: Any, dark: float, bright: float, low: float = 0.3, high: float = 0.7) -> None:
        """The base colour between `dark` and `bright` times the material's, led by the texture `by`."""
        ramp = self.nodes.new("ShaderNodeValToRGB")
        ends = ramp.color_ramp.elements
        for end, position, factor in ((ends[0], low, dark), (ends[1], high, bright)):
            end.position = position
            end.color = (*scaled(self.of.rgb, factor), 1)
        self.link(by, ramp.inputs["Fac"])
        self.link(ramp.outputs["Color"], self.principled.inputs["Base Color"])

    def lets_light_through(self, shadow: Rgb) -> None:
        """Shadow rays pass, tinted: with caustics off, glass would cast a black shadow otherwise."""
        path = self.nodes.new("ShaderNodeLightPath")
        clear = self.nodes.new("ShaderNodeBsdfTransparent")
        clear.inputs["Color"].default_value = (*shadow, 1)
        mix = self.nodes.new("ShaderNodeMixShader")
        self.link(path.outputs["Is Shadow Ray"], mix.inputs["Fac"])
        self.link(self.principled.outputs["BSDF"], mix.inputs[1])
        self.link(clear.outputs["BSDF"], mix.inputs[2])
        self.link(mix.outputs["Shader"], self.nodes["Material Output"].inputs["Surface"])


def shader(of: Material, longest_axis: int) -> Any:
    """The Blender material; `longest_axis` of the part is where wood grain runs."""
    s = Shader(of, longest_axis)
    s.set(Base_Color=(*of.rgb, 1), Roughness=ROUGHNESS[of.finish] if of.roughness is None else of.roughness)
    dark = max(of.rgb) < 0.02  # a black glaze that mirrors the whole studio would look grey
    match of.finish:
        case "ceramic" | "enamel":
            s.set(Coat_Weight=0.15 if dark else 0.6, Coat_Roughness=0.06)
        case "metal" | "brass":
            s.set(Metallic=1.0)
        case "iron":
            s.set(Metallic=0.7)
        case "lens":
            s.set(Metallic=0.3)
        case "wood":
            stretch = [9.0, 9.0, 9.0]
            stretch[s.grain] = 0.9
            grain = s.noise(2.2, 9, (stretch[0], stretch[1], stretch[2]))
            s.mottle(grain, 0.55, 1.3, 0.33, 0.67)
            s.bump(grain, 0.12)
        case "fabric":
            s.set(Sheen_Weight=0.0 if dark else 0.3)
            weave = s.noise(110, 2)
            s.mottle(weave, 0.9, 1.06)
            s.bump(weave, 0.12, 0.006)
        case "leather":
            hide = s.noise(16, 4)
            s.mottle(hide, 0.75, 1.12)
            s.bump(hide, 0.2, 0.01)
        case "wicker":
            cane = s.noise(14, 3)
            s.mottle(cane, 0.65, 1.2)
            s.bump(cane, 0.3, 0.01)
        case "fuzz":
            s.set(Sheen_Weight=0.5)
            fibres = s.noise(45, 6)
            s.mottle(fibres, 0.75, 1.15)
            s.bump(fibres, 0.6, 0.03)
        case "leaf":
            s.mottle(s.noise(5, 3), 0.7, 1.5)
        case "pebble":
            s.bump(s.texture("ShaderNodeTexVoronoi", Scale=38.0).outputs["Distance"], -0.5, 0.012)
        case "wax":
            s.set(Subsurface_Weight=0.3, Subsurface_Radius=(0.1, 0.08, 0.06))
        case "shade":
            s.set(Emission_Color=(*of.rgb, 1), Emission_Strength=0.35)
        case "glow" | "flame":
            s.set(Emission_Color=(*of.rgb, 1), Emission_Strength=of.strength or 6.0)
        case "glass" | "liquid" | "tinted":
            s.set(IOR=1.33 if of.finish == "liquid" else 1.45)
            s.set(Transmission_Weight=0.7 if of.finish == "tinted" else 1.0)
            share = 0.5 if of.finish == "tinted" else 0.25
            r, g, b = of.rgb
            base = 0.2 if of.finish == "tinted" else 0.7
            s.lets_light_through((base + share * r, base + share * g, base + share * b))
        case _:
            pass
    return s.result
